"""Latest wins: of the requests of one typing session only the newest goes on.

Whoever types on has no use for what the text before would have been completed with. So a newer
request ends the older one, wherever that is: asleep, in a queue, in an engine, in the middle of a
write to a slow reader. It does so as ``asyncio.timeout`` does: by a cancellation that becomes an
error of its own at the edge of the block.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hexkey.errors import Code, ServeError

if TYPE_CHECKING:
    from hexkey.identity.quota import Reservation

Key = tuple[str, str]
"""(tenant, session): no tenant can end another's requests."""


class Claim:
    """One request's hold on its session, from the task that runs it until ``close``.

    ``hold`` is its part of its tenant's quota, which a newer one may take over.
    """

    __slots__ = ("_cancelling", "_holders", "_key", "_superseded", "_task", "hold")

    def __init__(self, holders: dict[Key, Claim], key: Key, hold: Reservation | None) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a claim belongs to a task")
        self._holders = holders
        self._key = key
        self.hold = hold
        self._task = task
        self._cancelling = task.cancelling()
        self._superseded = False

    def supersede(self) -> None:
        """A newer request has come; the task is cancelled."""
        self._superseded = True
        self._task.cancel()

    def close(self, error: BaseException | None) -> BaseException | None:
        """Give the session up; return the error that the block really ended with.

        A cancellation that was ours becomes a ``ServeError``; one that came from elsewhere as well
        stays one.
        """
        if self._holders.get(self._key) is self:
            del self._holders[self._key]
        if not self._superseded:
            return error
        self._superseded = False
        if self._task.uncancel() > self._cancelling or not isinstance(
            error, asyncio.CancelledError
        ):
            return error
        return ServeError(
            Code.SUPERSEDED, "a newer request of the same session took this one's place"
        )


class Latest:
    """Who holds which session; as many as there are requests under way with one."""

    def __init__(self) -> None:
        self._holders: dict[Key, Claim] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def held(self, tenant: str, session: str) -> Reservation | None:
        """Return what the request holds that would be superseded, if there is one."""
        older = self._holders.get((tenant, session))
        return None if older is None else older.hold

    def claim(self, tenant: str, session: str, hold: Reservation | None = None) -> Claim:
        """Take a session over from whoever holds it, for the current task."""
        key = (tenant, session)
        older = self._holders.get(key)
        claim = self._holders[key] = Claim(self._holders, key, hold)
        if older is not None:
            older.supersede()
        return claim
