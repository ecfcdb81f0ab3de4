"""An answer in the making, which a newer request of its session may take over.

Who types on while a model writes often types what it is writing: the answer under way is then the
newer request's answer too, less what was typed. So a request does not read the engine, which its
end would end, but a draft, and the draft reads the engine. A newer request becomes the draft's
reader where what it typed begins as what is written does, and as long as it may still be that.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from hexkey.errors import Code, ServeError
from hexkey.types import Delta, Finish, Usage

if TYPE_CHECKING:
    from hexkey.charge import Charge
    from hexkey.types import Began, Event

MAX_CHARACTERS = 1 << 14
"""Longer answers are no suggestions; they stay with who asked."""


class Source(Protocol):
    """What a draft reads: an attempt that has begun."""

    async def next_event(self) -> Event | Began:
        """Return the next event; raises ``ServeError`` where the attempt fails."""

    async def close(self) -> None:
        """Stop what runs and give back what is held."""


class Diverged(Exception):  # noqa: N818 - it is what happened, and no mistake of anybody's
    """What was typed is not what the model wrote, or all that it wrote."""


class Reading:
    """A request's place as the reader of a draft; it takes the place of an ``Attempt``."""

    __slots__ = ("_draft",)

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        draft.reader = self

    @property
    def model(self) -> str:
        """Name of the model that writes."""
        return self._draft.model

    @property
    def charge(self) -> Charge:
        """The account of the work, which goes to the last reader."""
        return self._draft.charge

    @property
    def passed_on(self) -> bool:
        """Whether a newer request reads now."""
        return self._draft.reader is not self

    def pass_on(self, typed: str, deadline: float | None) -> Reading | None:
        """Return the place of a newer request that has typed so much more, if it may have it."""
        if self.passed_on or not self._draft.follow(typed, deadline):
            return None
        return Reading(self._draft)

    async def next_event(self) -> Event | Began:
        """Return the next event; raises ``ServeError`` as the attempt does, or ``Diverged``."""
        return await self._draft.next_event()

    async def close(self) -> None:
        """End the work, unless it was passed on."""
        if not self.passed_on:
            await self._draft.close()


class Draft:
    """One output of one attempt, read one event ahead; ``deadline`` is its reader's.

    The attempt must not have a deadline of its own, which would be the first reader's.
    """

    def __init__(self, source: Source, model: str, charge: Charge, deadline: float | None) -> None:
        self.model = model
        self.charge = charge
        self.reader: Reading
        self._source = source
        self._parts: list[str] = []  # given to the reader, or about to be
        self._size = 0
        self._typed = ""  # what the reader has typed and the model has not written yet
        self._joined = False
        self._again: list[Event] = []  # for a reader that came late, last first
        self._finish: Finish | None = None
        self._ended = self._late = False
        self._closing: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._next = self._read()
        self._expire_at(deadline)

    def follow(self, typed: str, deadline: float | None) -> bool:
        """Begin again behind what a new reader has typed; False where that cannot be its answer."""
        text = "".join(self._parts)
        written = text.startswith(typed)
        if self._ended or self._closing or self._size > MAX_CHARACTERS:
            return False
        if not written and (self._finish or not typed.startswith(text)):
            return False
        if typed and not text and not self._joined:
            return False  # nothing speaks for it yet
        # What was typed before and is still to be written comes first.
        rest, typed = text[len(typed) :], self._typed + typed[len(text) :]
        if self._finish and not rest.strip():
            return False
        self._joined = True
        self._typed = typed
        self._parts = [rest] if rest else []
        self._size = len(rest)
        self._again = [self._finish] if self._finish else []
        if rest:
            self._again.append(Delta(0, rest))
        self._expire_at(deadline)
        return True

    async def next_event(self) -> Event | Began:
        """Return the next event that is news to the reader."""
        if self._again:
            return self._again.pop()
        while True:
            event = await self._take()
            if self._is_news(event):
                return event

    async def close(self) -> None:
        """End the work and give back what is held."""
        if self._timer is not None:
            self._timer.cancel()
        self._closing = self._closing or asyncio.ensure_future(self._shut())
        # To the end, also where who waits here is cancelled once more.
        await asyncio.shield(self._closing)

    def _is_news(self, event: Event | Began) -> bool:
        """Take in one event; raises ``Diverged`` where the reader typed something else."""
        if type(event) is Delta:
            if self._typed:
                both = min(len(self._typed), len(event.text))
                if self._typed[:both] != event.text[:both]:
                    raise Diverged
                self._typed = self._typed[both:]
                event.text = event.text[both:]
                if not event.text:
                    return False
            self._size += len(event.text)
            if self._size <= MAX_CHARACTERS:
                self._parts.append(event.text)
        elif type(event) is Finish:
            if self._joined and not self._parts:
                raise Diverged
            self._finish = event
        return True

    async def _take(self) -> Event | Began:
        if self._ended:
            raise StopAsyncIteration
        while not self._next.done():
            await asyncio.wait({self._next})
        if self._late:
            raise ServeError(
                Code.DEADLINE_EXCEEDED, "the deadline passed before the answer was complete"
            )
        event = self._next.result()
        if type(event) is Usage:
            self._ended = True
        else:
            self._next = self._read()
        return event

    def _read(self) -> asyncio.Task[Event | Began]:
        return asyncio.create_task(self._source.next_event(), name="draft")

    def _expire_at(self, deadline: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = None if deadline is None else loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        """Stop the engine now, and not once a reader who may be slow has noticed."""
        if not self._ended and self._closing is None:
            self._late = True
            self._closing = asyncio.ensure_future(self._shut())

    async def _shut(self) -> None:
        self._next.cancel()
        await asyncio.wait({self._next})
        if not self._next.cancelled():
            self._next.exception()  # seen, also where nobody reads any more
        await self._source.close()
