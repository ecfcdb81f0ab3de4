"""What a model consists of: every file with its size and SHA-256, its origin and its licence."""

from __future__ import annotations

import hashlib
import os
import stat
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class FileRecord(msgspec.Struct, frozen=True):
    """One file: SHA-256 in lower-case hex, size in bytes."""

    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One model as it was accepted; ``files`` maps a path relative to its folder to its record.

    ``revision`` is the release or commit, empty for a path; ``licence`` is an SPDX expression.
    """

    source: str
    revision: str
    licence: str
    attribution: str = ""
    files: dict[str, FileRecord]
    fetched_at: datetime

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(record.size for record in self.files.values())

    @property
    def digest(self) -> str:
        """One SHA-256 for the whole model: of its ``sha256sum`` listing, sorted by name."""
        lines = [f"{record.sha256}  {name}\n" for name, record in sorted(self.files.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def describe(folder: Path, names: Iterable[str] | None = None) -> dict[str, FileRecord]:
    """Hash ``names``, or every file below ``folder``, by path relative to it.

    Names that begin with a dot are left out: no engine reads them. Raises ModelError for a link
    that leaves the folder, and for what is neither a file nor a folder.
    """
    root = folder.resolve()
    return {name: _record(root, name) for name in (_walk(root) if names is None else names)}


def _walk(root: Path) -> list[str]:
    names: list[str] = []
    for parent, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        linked = [name for name in folders if (Path(parent) / name).is_symlink()]
        if linked:
            raise ModelError(
                f"{Path(parent) / linked[0]} is a link to a folder, which a model folder may not "
                "hold; put the folder itself there"
            )
        names += [
            (Path(parent) / name).relative_to(root).as_posix()
            for name in sorted(files)
            if not name.startswith(".")
        ]
    return names


def _record(root: Path, name: str) -> FileRecord:
    path = root / name
    target = path.resolve()
    if not target.is_relative_to(root):
        raise ModelError(
            f"{path} is a link out of its folder, to {target}; copy the model with its links "
            "followed (cp -rL), or name its original source"
        )
    try:
        if not stat.S_ISREG(target.stat().st_mode):
            raise ModelError(f"{path} is not a plain file; remove it from the model folder")
        with target.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            # What was hashed, also when the file grew or shrank since it was listed.
            return FileRecord(digest, file.tell())
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error


def check_exact(
    found: Mapping[str, FileRecord], expected: Mapping[str, FileRecord], *, folder: Path
) -> None:
    """Raise ModelError unless ``found`` is exactly ``expected``: no file less, more or other."""
    for name in expected.keys() - found.keys():
        raise ModelError(f"{folder / name} is missing")
    for name in found.keys() - expected.keys():
        raise ModelError(f"{folder / name} does not belong to this model")
    for name, record in expected.items():
        if found[name].size != record.size:
            raise ModelError(f"{folder / name} has {found[name].size} bytes, not {record.size}")
        _check_hash(folder / name, found[name].sha256, record.sha256)


def check_pins(found: Mapping[str, FileRecord], pins: Mapping[str, str], *, folder: Path) -> None:
    """Raise ModelError unless every pinned file is there with the SHA-256 pinned for it."""
    for name, sha256 in pins.items():
        if name not in found:
            raise ModelError(
                f"{folder / name} has a pinned SHA-256 but is not part of the model, which holds "
                f"{', '.join(sorted(found)[:10]) or 'nothing'}"
            )
        _check_hash(folder / name, found[name].sha256, sha256.lower())


def _check_hash(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise ModelError(
            f"{path} is not the file asked for: its SHA-256 is {found}, expected {expected}"
        )
