"""Taking one file or folder out of a wheel, without trusting the wheel.

A wheel is a zip. The whole archive is refused when any member has a name that could leave the
target, is a link or a device, is encrypted, or appears twice.
"""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from hexkey.models.errors import ModelError

_UNIX_MODE_SHIFT = 16
_ENCRYPTED = 0x1
_LISTED = 8


def unpack(archive: Path, inner: str, into: Path) -> None:
    """Write member ``inner``, a file or a folder, below ``into``, which must exist and be empty.

    A folder's own path is dropped: ``a/b/c.txt`` of folder ``a/b`` becomes ``c.txt``. A file that
    is itself a zip is unpacked in turn. Raises ModelError; what lies in ``into`` then is garbage.
    """
    try:
        with zipfile.ZipFile(archive) as members:
            _write(members, _select(members, archive, inner), into, archive)
        if inner.endswith(".zip"):
            nested = archive.parent / "nested.zip"
            (into / PurePosixPath(inner).name).rename(nested)
            with zipfile.ZipFile(nested) as members:
                files = [info for info in _checked(members, nested) if not info.is_dir()]
                _write(members, {info: info.filename for info in files}, into, archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ModelError(
            f"{archive.name} is damaged or no zip ({error}); fetch it again"
        ) from error


def _checked(members: zipfile.ZipFile, archive: Path) -> list[zipfile.ZipInfo]:
    """All members, once every one of them is known to be harmless."""
    seen: set[str] = set()
    for info in members.infolist():
        name = info.filename
        # The type is kept in the upper half by archivers of Unix, and is 0 from all others.
        kind = stat.S_IFMT(info.external_attr >> _UNIX_MODE_SHIFT)
        if name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
            raise ModelError(f"{archive.name} has a member that would leave its folder: {name!r}")
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise ModelError(f"{archive.name} has a member that is a link or a device: {name!r}")
        if info.flag_bits & _ENCRYPTED:
            raise ModelError(f"{archive.name} has an encrypted member: {name!r}")
        if name in seen:
            raise ModelError(f"{archive.name} has two members of one name: {name!r}")
        seen.add(name)
    return members.infolist()


def _select(members: zipfile.ZipFile, archive: Path, inner: str) -> dict[zipfile.ZipInfo, str]:
    """Each wanted member and the name it gets."""
    files = [info for info in _checked(members, archive) if not info.is_dir()]
    for info in files:
        if info.filename == inner:
            return {info: PurePosixPath(inner).name}
    chosen = {
        info: info.filename.removeprefix(f"{inner}/")
        for info in files
        if info.filename.startswith(f"{inner}/")
    }
    if not chosen:
        largest = sorted(files, key=lambda info: info.file_size, reverse=True)[:_LISTED]
        raise ModelError(
            f"{archive.name} has nothing at {inner!r}; its largest files are "
            f"{', '.join(info.filename for info in largest)}"
        )
    return chosen


def _write(
    members: zipfile.ZipFile, chosen: dict[zipfile.ZipInfo, str], into: Path, archive: Path
) -> None:
    """Copy members out; ``zipfile`` reads no byte beyond a declared size and checks the CRC."""
    need = sum(info.file_size for info in chosen)
    free = shutil.disk_usage(into).free
    if need > free:
        raise ModelError(
            f"{archive.name} needs {need:,} bytes and {into} has {free:,} free; make room, or put "
            "the cache elsewhere with HEXKEY_CACHE"
        )
    for info, name in chosen.items():
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with members.open(info) as source, target.open("xb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
