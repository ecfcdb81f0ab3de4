"""Work that nobody waits for must end: a watch on the client for as long as a run goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from hexkey.wire.http.errors import ClientGone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from starlette.types import Receive


class Presence:
    """Cancels the ``async with`` block it guards once the client leaves; raises ``ClientGone``.

    Inside the block the leave is a cancellation, so what runs there settles as cancelled. Where
    ``pulse`` is given it is awaited every ``pulse_s`` seconds of the client's presence.
    """

    __slots__ = ("_left", "_pulse", "_pulse_s", "_receive", "_task", "_watcher")

    def __init__(
        self,
        receive: Receive,
        pulse: Callable[[], Awaitable[None]] | None = None,
        pulse_s: float = 0.0,
    ) -> None:
        self._receive = receive
        self._pulse = pulse
        self._pulse_s = pulse_s
        self._left = False

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a Presence belongs to a task")
        self._task = task
        self._watcher = asyncio.get_running_loop().create_task(self._watch())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._watcher.cancel()
        # A cancellation that came from elsewhere as well must go on as one.
        if self._left and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise ClientGone from None

    async def _watch(self) -> None:
        if self._pulse is None:
            await self._departure()
        else:
            while True:
                try:
                    async with asyncio.timeout(self._pulse_s):
                        await self._departure()
                    break
                except TimeoutError:
                    await self._pulse()
        self._left = True
        self._task.cancel()

    async def _departure(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
