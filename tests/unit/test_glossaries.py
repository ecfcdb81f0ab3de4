"""Glossaries outlive the server, and nobody sees another's."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from hexkey.errors import Code, ServeError
from hexkey.glossaries import MAX_PER_TENANT, MAX_TERMS, Glossaries

TERMS = (("weather", "clima"),)


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_a_glossary_is_there_after_a_restart_for_its_tenant_only(tmp_path: Path) -> None:
    kept = Glossaries(tmp_path)
    made = await kept.add("acme", "mine", ("en", "pt"), TERMS)
    (path,) = files(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Glossaries(tmp_path)
    assert again.get("acme", made.id) == made
    assert again.of("other") == []
    with pytest.raises(ServeError) as caught:
        again.get("other", made.id)
    assert caught.value.code is Code.NOT_FOUND
    with pytest.raises(ServeError) as caught:
        await again.remove("other", made.id)
    assert caught.value.code is Code.NOT_FOUND
    await again.remove("acme", made.id)
    assert Glossaries(tmp_path).of("acme") == []


async def test_there_is_a_bound_on_everything() -> None:
    kept = Glossaries()
    with pytest.raises(ServeError):
        await kept.add("acme", "none", ("en", "pt"), ())
    with pytest.raises(ServeError):
        await kept.add("acme", "x" * 201, ("en", "pt"), TERMS)
    with pytest.raises(ServeError):
        await kept.add("acme", "long", ("en", "pt"), (("x" * 201, "y"),))
    for code in ("", "english", "e\n", "en" * 1000):
        with pytest.raises(ServeError):
            await kept.add("acme", "odd", ("en", code), TERMS)
    for number in range(MAX_PER_TENANT):
        await kept.add("acme", str(number), ("en", "pt"), TERMS)
    with pytest.raises(ServeError):
        await kept.add("acme", "one more", ("en", "pt"), TERMS)
    assert await kept.add("other", "first", ("en", "pt"), TERMS)


async def test_all_of_a_tenant_together_are_bounded() -> None:
    kept = Glossaries()
    terms = tuple((f"{number:0200}", "y" * 200) for number in range(MAX_TERMS))
    for number in range(10):
        await kept.add("acme", str(number), ("en", "pt"), terms)
    with pytest.raises(ServeError, match="together"):
        await kept.add("acme", "one more", ("en", "pt"), terms)


async def test_two_that_come_together_do_not_both_take_the_last_place(tmp_path: Path) -> None:
    kept = Glossaries(tmp_path)
    for number in range(MAX_PER_TENANT - 1):
        await kept.add("acme", str(number), ("en", "pt"), TERMS)
    both = (kept.add("acme", "last", ("en", "pt"), TERMS) for _ in range(2))
    made, refused = await asyncio.gather(*both, return_exceptions=True)
    assert isinstance(refused, ServeError)
    assert not isinstance(made, BaseException)
    ends = (kept.remove("acme", made.id) for _ in range(2))
    assert [type(one) for one in await asyncio.gather(*ends, return_exceptions=True)] == [
        type(None),
        ServeError,
    ]
    assert len(files(tmp_path)) == MAX_PER_TENANT - 1


async def test_a_glossary_that_cannot_be_kept_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("no folder")
    kept = Glossaries(tmp_path / "folder")
    with pytest.raises(OSError, match="folder"):
        await kept.add("acme", "mine", ("en", "pt"), TERMS)
    assert kept.of("acme") == []


async def test_a_damaged_file_is_left_out(tmp_path: Path) -> None:
    made = await Glossaries(tmp_path).add("acme", "mine", ("en", "pt"), TERMS)
    (tmp_path / "damaged.json").write_text('{"id": 1')
    assert Glossaries(tmp_path).of("acme") == [made]
