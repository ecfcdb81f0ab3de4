"""Glossaries that clients keep on the server: per tenant, bounded, one private file each."""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING

import msgspec

from hexkey.errors import Code, ServeError, invalid
from hexkey.identity.keyfile import write_private

if TYPE_CHECKING:
    from pathlib import Path

MAX_PER_TENANT = 100
MAX_TERMS = 1000
MAX_NAME = 200
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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

    A tenant sees its own only. The methods that change something write a file, so they are called
    off the event loop.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._all: dict[str, Glossary] = {}
        for path in sorted(folder.glob("*.json")) if folder else ():
            glossary = msgspec.json.decode(path.read_bytes(), type=Glossary)
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

    def add(
        self, tenant: str, name: str, pair: tuple[str, str], terms: tuple[tuple[str, str], ...]
    ) -> Glossary:
        """Keep a new glossary; ``ServeError`` says what is wrong with it."""
        if not name or len(name) > MAX_NAME:
            raise invalid(f"name must have from 1 to {MAX_NAME} characters", "name")
        if not 0 < len(terms) <= MAX_TERMS:
            raise invalid(f"a glossary has from 1 to {MAX_TERMS} terms", "entries")
        if len(self.of(tenant)) >= MAX_PER_TENANT:
            raise invalid(f"there are {MAX_PER_TENANT} glossaries already; delete one", "name")
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
        if self._folder:
            write_private(self._path(self._folder, glossary.id), msgspec.json.encode(glossary))
        self._all[glossary.id] = glossary
        return glossary

    def remove(self, tenant: str, glossary_id: str) -> None:
        """Forget one of a tenant's; ``ServeError`` NOT_FOUND."""
        glossary = self.get(tenant, glossary_id)
        if self._folder:
            self._path(self._folder, glossary.id).unlink(missing_ok=True)
        del self._all[glossary.id]

    @staticmethod
    def _path(folder: Path, glossary_id: str) -> Path:
        if not _ID.fullmatch(glossary_id):
            raise ValueError("not an id of a glossary")
        return folder / f"{glossary_id}.json"
