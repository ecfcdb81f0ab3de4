"""Glossaries outlive the server, and nobody sees another's."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hexkey.errors import Code, ServeError
from hexkey.glossaries import MAX_PER_TENANT, Glossaries

TERMS = (("weather", "clima"),)


def test_a_glossary_is_there_after_a_restart_for_its_tenant_only(tmp_path: Path) -> None:
    kept = Glossaries(tmp_path)
    made = kept.add("acme", "mine", ("en", "pt"), TERMS)
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Glossaries(tmp_path)
    assert again.get("acme", made.id) == made
    assert again.of("other") == []
    for use in (again.get, again.remove):
        with pytest.raises(ServeError) as caught:
            use("other", made.id)
        assert caught.value.code is Code.NOT_FOUND
    again.remove("acme", made.id)
    assert Glossaries(tmp_path).of("acme") == []


def test_there_is_a_bound_on_everything() -> None:
    kept = Glossaries()
    with pytest.raises(ServeError):
        kept.add("acme", "none", ("en", "pt"), ())
    with pytest.raises(ServeError):
        kept.add("acme", "x" * 201, ("en", "pt"), TERMS)
    for number in range(MAX_PER_TENANT):
        kept.add("acme", str(number), ("en", "pt"), TERMS)
    with pytest.raises(ServeError):
        kept.add("acme", "one more", ("en", "pt"), TERMS)
    assert kept.add("other", "first", ("en", "pt"), TERMS)
