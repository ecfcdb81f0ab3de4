from __future__ import annotations

from pathlib import Path

import pytest

from hexkey.models import registry
from hexkey.models.errors import ModelError
from hexkey.models.sources import FirefoxSource, HubSource, PackageSource, PathSource, Source, parse


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("path:/models/m.gguf", PathSource(Path("/models/m.gguf"))),
        ("package:a==1.0/a/m.gguf", PackageSource("a", "1.0", "a/m.gguf")),
        ("package:A_b.C==2!1.0+x/f/", PackageSource("a-b-c", "2!1.0+x", "f")),
        ("hf:org/name", HubSource("org/name")),
        ("hf:org/name@main", HubSource("org/name", "main")),
        ("hf:org/na.me@v1.0/q4/m.gguf", HubSource("org/na.me", "v1.0", "q4/m.gguf")),
        ("hf:org/name/en-pt", HubSource("org/name", None, "en-pt")),
        ("firefox:en-pt", FirefoxSource("en", "pt")),
        ("firefox:en-zh_hant", FirefoxSource("en", "zh_hant")),
    ],
)
def test_every_form_parses_and_its_canonical_text_parses_to_the_same(
    text: str, source: Source
) -> None:
    assert parse(text) == source
    assert parse(str(source)) == source


def test_home_and_relative_paths_become_absolute() -> None:
    assert parse("path:~/m") == PathSource(Path.home() / "m")
    assert parse("path:m") == PathSource(Path.cwd() / "m")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "org/name",
        "path:",
        "package:a/inner",
        "package:a>=1/inner",
        "package:a==1.0",
        "package:--index-url==1/x",
        "package:a==1.0 --pre/x",
        "hf:name",
        "hf:org/name@-x",
        "firefox:en",
        "firefox:en-PT",
        "http://example.org/m",
    ],
)
def test_anything_else_is_refused_with_the_valid_forms(text: str) -> None:
    with pytest.raises(ModelError, match=r"path:/dir.*package:NAME==VERSION.*hf:org.*firefox:"):
        parse(text)


@pytest.mark.parametrize(
    "inner", ["../x", "a/../../x", "/etc/passwd", "a//b", "a\\b", "*.gguf", "a/./b", "[a]"]
)
@pytest.mark.parametrize("prefix", ["package:a==1/", "hf:org/name/"])
def test_an_inner_path_never_leaves_its_source(prefix: str, inner: str) -> None:
    with pytest.raises(ModelError, match="inner path"):
        parse(prefix + inner)


def test_the_firefox_pairs_shipped_resolve_to_pinned_packages() -> None:
    for pair in ("en-pt", "pt-en"):
        source = registry.resolve(parse(f"firefox:{pair}"))
        entry = registry.ENTRIES[str(source)]
        assert entry.licence == "MPL-2.0"
        assert any(name.startswith("model.") for name in entry.files)


def test_other_firefox_pairs_say_where_to_get_them() -> None:
    with pytest.raises(ModelError, match=r"firefox:en-de is in no package.*Hub.*path:/models/ende"):
        registry.resolve(parse("firefox:en-de"))


def test_every_entry_is_found_by_the_text_a_user_writes() -> None:
    for text, entry in registry.ENTRIES.items():
        assert parse(text) == entry.source
        assert all(len(record.sha256) == 64 for record in entry.files.values())
