"""Which of a model's LoRA adapters its host holds; they come and go while it serves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hexkey.errors import Code, ServeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hexkey.engines.link import Link


class Adapters:
    """The adapters of one model, through all launches of its host.

    A host comes with all of them; ``settle`` has it let go of those that are not to be held.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._absent: set[str] = set()
        self._turn = asyncio.Lock()

    def holds(self, name: str) -> bool:
        """Whether a host that serves has this adapter in memory; true of the base itself."""
        return name not in self._absent

    async def settle(self, link: Link) -> None:
        """Make a new host hold what the one before it held."""
        async with self._turn:
            for name in self._absent:
                await link.adapt(name, hold=False)

    async def load(self, name: str, link: Link | None) -> None:
        """Return once an adapter is in memory, or will come with the next host.

        ``ServeError`` where the engine does not take it.
        """
        async with self._turn:
            if name in self._absent:
                if link is not None:
                    await link.adapt(name, hold=True)
                self._absent.discard(name)

    async def unload(self, name: str, link: Link | None) -> None:
        """Take an adapter out of memory once it has finished what it has."""
        if name not in self._names:
            raise ValueError(f"there is no adapter {name}")
        async with self._turn:
            if name in self._absent:
                return
            # Whoever asks for it from now on waits for its turn to load it anew.
            self._absent.add(name)
            if link is not None:
                await link.adapt(name, hold=False)

    async def ensure(self, name: str, link: Link, deadline: float | None) -> None:
        """Return once an adapter can be asked; a request loads one that was unloaded."""
        if self.holds(name):
            return
        try:
            async with asyncio.timeout_at(deadline):
                await self.load(name, link)
        except TimeoutError:
            why = f"the deadline passed before the adapter {name!r} was loaded"
            raise ServeError(Code.DEADLINE_EXCEEDED, why) from None
