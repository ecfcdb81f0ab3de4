from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import huggingface_hub
import pytest
from huggingface_hub import constants

from hexkey.models.cache import Pins, fetch
from hexkey.models.errors import ModelError

from .conftest import CTRANSLATE2, GGUF

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "c" * 40
CARD = b"---\nlicense: apache-2.0\n---\n"


class Hub:
    """Stands for the Hub's client: one repository in its cache layout of blobs and links."""

    def __init__(self, root: Path) -> None:
        self.root = root / "models--org--name"
        self.patterns: list[str] = []
        self.calls = 0

    def put(self, name: str, data: bytes) -> Path:
        blob = self.root / "blobs" / hashlib.sha256(data).hexdigest()
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(data)
        link = self.root / "snapshots" / COMMIT / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)
        return blob

    def snapshot_download(
        self, repo: str, *, revision: str | None, allow_patterns: list[str]
    ) -> str:
        assert repo == "org/name"
        assert revision in {None, "v1"}
        self.patterns = allow_patterns
        self.calls += 1
        return str(self.root / "snapshots" / COMMIT)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(tmp_path / "hub")
    made.put("README.md", CARD)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", made.snapshot_download)
    return made


def get(tmp_path: Path, source: str, sha256: Pins = None) -> tuple[str, str, list[str]]:
    found = fetch(source, cache=tmp_path / "cache", sha256=sha256, progress=lambda _line: None)
    assert not any(path.is_symlink() for path in found.paths)
    return found.manifest.revision, found.manifest.licence, sorted(found.manifest.files)


def test_safe_files_of_a_revision_are_kept_with_commit_and_licence(
    hub: Hub, tmp_path: Path
) -> None:
    for name, data in {"m.gguf": GGUF, "config.json": b"{}", "run.py": b"", "x.pt": b""}.items():
        hub.put(name, data)
    expected = (COMMIT, "Apache-2.0", ["config.json", "m.gguf"])
    assert get(tmp_path, "hf:org/name@v1") == expected
    assert get(tmp_path, "hf:org/name@v1") == expected
    assert hub.calls == 1
    assert not any(pattern.endswith((".bin", ".py", ".pt")) for pattern in hub.patterns)


def test_an_inner_folder_and_an_inner_file(hub: Hub, tmp_path: Path) -> None:
    hub.put("q4/m.gguf", GGUF)
    hub.put("q8/m.gguf", GGUF + b"8")
    assert get(tmp_path, "hf:org/name/q4")[2] == ["m.gguf"]
    assert "q4/*.gguf" in hub.patterns
    assert get(tmp_path, "hf:org/name/q8/m.gguf")[2] == ["m.gguf"]
    assert "q8/m.gguf" in hub.patterns


def test_a_bin_file_comes_only_with_its_pin(hub: Hub, tmp_path: Path) -> None:
    hub.put("model.bin", CTRANSLATE2)
    hub.put("config.json", b"{}")
    with pytest.raises(ModelError, match="holds no model"):
        get(tmp_path, "hf:org/name")
    pins = {"model.bin": hashlib.sha256(CTRANSLATE2).hexdigest()}
    assert get(tmp_path, "hf:org/name", pins)[2] == ["config.json", "model.bin"]


def test_a_damaged_blob_is_named(hub: Hub, tmp_path: Path) -> None:
    blob = hub.put("m.gguf", GGUF)
    blob.write_bytes(GGUF + b"x")
    with pytest.raises(ModelError, match=f"{blob.name} is damaged"):
        get(tmp_path, "hf:org/name")


def test_a_link_out_of_the_hub_s_cache_is_refused(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_bytes(b"{}")
    (hub.root / "snapshots" / COMMIT / "c.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(ModelError, match="link out of the Hub's cache"):
        get(tmp_path, "hf:org/name")


@pytest.mark.parametrize("offline", [False, True])
def test_a_hub_out_of_reach_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, offline: bool
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="cannot be had from the Hub") as raised:
        get(tmp_path, "hf:org/name")
    assert ("HF_HUB_OFFLINE is set" in str(raised.value)) is offline
    assert "path:/folder" in str(raised.value)
