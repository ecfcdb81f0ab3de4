"""Glossaries that clients keep on the server: per tenant, bounded, one private file each."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from typing import TYPE_CHECKING

import msgspec
import structlog

from hexkey.errors import Code, ServeError, invalid
from hexkey.identity.keyfile import write_private

if TYPE_CHECKING:
    from pathlib import Path

MAX_PER_TENANT = 100
MAX_TERMS = 1000
MAX_NAME = 200
MAX_TERM = 200
MAX_CHARACTERS = 4_000_000
"""Of all terms of a tenant's glossaries together."""
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


log = structlog.get_logger("hexkey.glossaries")


class Glossary(msgspec.Struct, frozen=True, kw_only=True):
    """Terms of one direction; ``created`` in seconds since 1970, UTC."""

    id: str
    tenant: str
    name: str
    source: str
    target: str
    terms: tuple[tuple[str, str], ...]
    created: float


class Glossaries:
    """All glossaries, in memory and in a ``folder``; without one they end with the server.

    A tenant sees its own only. Used on the event loop; files are written off it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._all: dict[str, Glossary] = {}
        for path in sorted(folder.glob("*.json")) if folder else ():
            try:
                glossary = msgspec.json.decode(path.read_bytes(), type=Glossary)
            except (OSError, msgspec.MsgspecError) as error:
                log.error("a glossary is damaged and left out", path=str(path), why=str(error))
                continue
            self._all[glossary.id] = glossary

    def of(self, tenant: str) -> list[Glossary]:
        """Return a tenant's glossaries, the oldest first."""
        mine = [one for one in self._all.values() if one.tenant == tenant]
        return sorted(mine, key=lambda one: (one.created, one.id))

    def get(self, tenant: str, glossary_id: str) -> Glossary:
        """Return one of a tenant's; ``ServeError`` NOT_FOUND."""
        glossary = self._all.get(glossary_id)
        if glossary is None or glossary.tenant != tenant:
            raise ServeError(
                Code.NOT_FOUND,
                "there is no such glossary",
                param="glossary_id",
                reason="GLOSSARY_NOT_FOUND",
            )
        return glossary

    async def add(
        self, tenant: str, name: str, pair: tuple[str, str], terms: tuple[tuple[str, str], ...]
    ) -> Glossary:
        """Keep a new glossary; ``ServeError`` says what is wrong with it."""
        if not name or len(name) > MAX_NAME:
            raise invalid(f"name must have from 1 to {MAX_NAME} characters", "name")
        if not 0 < len(terms) <= MAX_TERMS:
            raise invalid(f"a glossary has from 1 to {MAX_TERMS} terms", "entries")
        for param, code in zip(("source_lang", "target_lang"), pair, strict=True):
            if not _LANGUAGE.fullmatch(code):
                raise invalid("a language code is short, such as 'en'", param)
        if any(len(text) > MAX_TERM for term in terms for text in term):
            raise invalid(f"a term has at most {MAX_TERM} characters", "entries")
        mine = self.of(tenant)
        if len(mine) >= MAX_PER_TENANT:
            raise invalid(f"there are {MAX_PER_TENANT} glossaries already; delete one", "name")
        if sum(map(_size, (terms, *(one.terms for one in mine)))) > MAX_CHARACTERS:
            raise invalid(
                f"all glossaries together have at most {MAX_CHARACTERS} characters; delete one",
                "entries",
            )
        made = secrets.token_hex(16)
        glossary = Glossary(
            id="-".join((made[:8], made[8:12], made[12:16], made[16:20], made[20:])),
            tenant=tenant,
            name=name,
            source=pair[0],
            target=pair[1],
            terms=terms,
            created=time.time(),
        )
        # At once, so that two that come together do not both find room for one.
        self._all[glossary.id] = glossary
        if self._folder:
            path, data = self._path(self._folder, glossary.id), msgspec.json.encode(glossary)
            try:
                await asyncio.to_thread(write_private, path, data)
            except OSError:
                self._all.pop(glossary.id, None)
                raise
        return glossary

    async def remove(self, tenant: str, glossary_id: str) -> None:
        """Forget one of a tenant's; ``ServeError`` NOT_FOUND."""
        glossary = self.get(tenant, glossary_id)
        del self._all[glossary.id]
        if self._folder:
            path = self._path(self._folder, glossary.id)
            await asyncio.to_thread(path.unlink, missing_ok=True)

    @staticmethod
    def _path(folder: Path, glossary_id: str) -> Path:
        if not _ID.fullmatch(glossary_id):
            raise ValueError("not an id of a glossary")
        return folder / f"{glossary_id}.json"


def _size(terms: tuple[tuple[str, str], ...]) -> int:
    return sum(len(source) + len(target) for source, target in terms)
