"""Work that nobody waits for must end: a watch on the client for as long as a run goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, Self

from hexkey.wire.http.errors import ClientGone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType


class Line(Protocol):
    """The connection that a request came by, which serves one request at a time."""

    @property
    def whole(self) -> bool:
        """Whether the body of each request that has begun is here."""

    def watch(self, gone: Callable[[], None] | None) -> None:
        """Have ``gone`` called once the client leaves, soon if it has; None ends the watch."""


class Presence:
    """Cancels the ``async with`` block it guards once the client leaves; raises ``ClientGone``.

    Inside the block the leave is a cancellation, so what runs there settles as cancelled. Where
    ``pulse`` is given it is awaited every ``pulse_s`` seconds of the client's presence.
    """

    __slots__ = ("_beat", "_left", "_line", "_pulse", "_pulse_s", "_task", "_timer")

    def __init__(
        self,
        line: Line,
        pulse: Callable[[], Awaitable[None]] | None = None,
        pulse_s: float = 0.0,
    ) -> None:
        self._line = line
        self._pulse = pulse
        self._pulse_s = pulse_s
        self._timer: asyncio.TimerHandle | None = None
        self._beat: asyncio.Task[None] | None = None
        self._left = False

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a Presence belongs to a task")
        self._task = task
        self._line.watch(self._leave)
        self._wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._line.watch(None)
        self._rest()
        # A cancellation that came from elsewhere as well must go on as one.
        if self._left and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise ClientGone from None

    def _leave(self) -> None:
        self._rest()
        self._left = True
        self._task.cancel()

    def _wait(self) -> None:
        if self._pulse is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._pulse_s, self._due, self._pulse)

    def _due(self, pulse: Callable[[], Awaitable[None]]) -> None:
        self._beat = asyncio.get_running_loop().create_task(self._tell(pulse))

    async def _tell(self, pulse: Callable[[], Awaitable[None]]) -> None:
        await pulse()
        self._wait()

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._beat is not None:
            self._beat.cancel()
