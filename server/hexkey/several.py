"""Several runs that look like one: of several prompts, or of texts in several languages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import msgspec

from hexkey.tasks import entry_of
from hexkey.types import Delta, Event, Finish, Request, Scores, Usage, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from hexkey.run import Run
    from hexkey.service import Service
    from hexkey.types import Timing

WAITING_EVENTS = 64


class Several:
    """Runs all requests at once; output ``i`` of request ``k`` is output ``places[k][i]``.

    More than their tenant may have in work take turns. Without places the outputs of one request
    follow those of the one before. The first error ends the rest and is the error of them all. The
    usage is their sum.
    """

    def __init__(
        self,
        service: Service,
        requests: Sequence[Request],
        places: Sequence[Sequence[int]] | None = None,
    ) -> None:
        self._service = service
        self._requests = [
            msgspec.structs.replace(request, id=f"{request.id}-{which}")
            for which, request in enumerate(requests)
        ]
        # Bounded, so that a slow reader's deltas wait, merged, in their own mailboxes.
        self._events: asyncio.Queue[Event | BaseException] = asyncio.Queue(WAITING_EVENTS)
        self._entered: asyncio.Queue[Run | BaseException] = asyncio.Queue()
        self._places = places or _in_order(requests)
        # Without turns one call could hold all that its tenant may, and be refused for it for ever.
        self._turns = asyncio.Semaphore(
            service.access.concurrent(requests[0].tenant) or len(requests)
        )
        self.runs: dict[int, Run] = {}
        """Those that began, by the place of their request."""
        self._tasks: list[asyncio.Task[None]] = []
        self._usage = Usage()
        self._left = len(requests)

    @property
    def model(self) -> str:
        """Name of the model that serves the first of them; a policy may send others elsewhere."""
        return self._first.model

    @property
    def notes(self) -> tuple[str, ...]:
        """What the caller should know."""
        return self._first.notes

    def whole(self) -> None:
        """Say that nobody reads the answers before they are complete."""
        self._requests = [msgspec.structs.replace(one, whole=True) for one in self._requests]

    @property
    def traceparent(self) -> str:
        """Nothing: there is a span for each, and the caller's is the parent of them all."""
        return ""

    @property
    def timing(self) -> Timing | None:
        """Where the time of the first went; they run side by side."""
        return self._first.timing

    def seal(self) -> None:
        """Stay with the models under way."""
        for run in self.runs.values():
            run.seal()

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._pump(which)) for which in range(len(self._requests))
        ]
        try:
            first = await self._entered.get()
            if isinstance(first, BaseException):
                raise first
        except BaseException:
            # Also where the client leaves meanwhile: nobody calls ``__aexit__`` then.
            await self._end()
            raise
        self._first = first
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._end()

    async def __anext__(self) -> Event:
        """Return the next event of any of them."""
        while self._left:
            event = await self._events.get()
            if isinstance(event, BaseException):
                raise event
            if type(event) is not Usage:
                return event
            total = self._usage
            if event.cost is not None:
                total.cost = total.cost + event.cost if total.cost else event.cost
            total.timing = _slower(total.timing, event.timing)
            total.input_tokens += event.input_tokens
            total.output_tokens += event.output_tokens
            total.cached_tokens += event.cached_tokens
            total.input_characters += event.input_characters
            total.audio_seconds += event.audio_seconds
            self._left -= 1
            if not self._left:
                return total
        raise StopAsyncIteration

    async def _pump(self, which: int) -> None:
        request, places = self._requests[which], self._places[which]
        try:
            async with self._turns, self._service.run(request) as run:
                self.runs[which] = run
                self._entered.put_nowait(run)
                async for event in run:
                    if isinstance(event, Delta | Finish | Vector | Scores):
                        event.index = places[event.index]
                    await self._events.put(event)
        except Exception as error:  # noqa: BLE001 - it is raised where the events are read
            self._entered.put_nowait(error)
            await self._events.put(error)

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _in_order(requests: Sequence[Request]) -> list[range]:
    begin, places = 0, []
    for request in requests:
        end = begin + entry_of(request.payload).outputs(request.payload)
        places.append(range(begin, end))
        begin = end
    return places


def _slower(one: Timing | None, other: Timing | None) -> Timing | None:
    """Return the timing of whichever ended later."""
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda timing: sum(msgspec.structs.astuple(timing)))
