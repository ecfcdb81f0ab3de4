"""Reads each call's message within its time, and counts the calls and what all of them hold.

grpc calls the handler of a method that takes one message once that has come, however long it
takes, so a connection that sends a byte at a time could hold every place there is. So such methods
are registered as ones that read for themselves, here, once it is known who calls.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import grpc

from hexkey.errors import Code, ServeError, invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hexkey.wire.grpc.limits import GrpcLimits

_EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # grpc's stubs do not know of it


class Guard:
    """What all calls of one listener share."""

    def __init__(self, limits: GrpcLimits, refused: Callable[[ServeError], None]) -> None:
        self._limits = limits
        self._refused = refused
        self._calls = 0
        self._held = 0
        self._watchers = 0

    @contextlib.contextmanager
    def watcher(self) -> Iterator[None]:
        """Count a stream that lasts as long as its caller likes; ``ServeError`` if too many do."""
        if self._watchers >= self._limits.max_watchers:
            raise self._busy(f"{self._watchers} watch already")
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Count a call that is under way; ``ServeError`` if too many are."""
        if self._calls >= self._limits.max_calls:
            raise self._busy(f"{self._calls} calls are under way")
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1

    async def read(self, context: Any) -> bytes:
        """Return the one message of a call, which is held until ``release``."""
        try:
            async with asyncio.timeout(self._limits.message_s):
                data: bytes = await context.read()
        except TimeoutError:
            raise ServeError(
                Code.DEADLINE_EXCEEDED, "the message came too slowly", reason="BODY_TIMEOUT"
            ) from None
        if data is _EOF:
            raise invalid("the call has no message")
        if self._held + len(data) > self._limits.max_held_bytes:
            raise self._busy("the messages of calls fill the memory set aside for them")
        self._held += len(data)
        return data

    def release(self, data: bytes) -> None:
        """Count a message no longer; its call has ended."""
        self._held -= len(data)

    def _busy(self, why: str) -> ServeError:
        refusal = ServeError(
            Code.UNAVAILABLE, f"{why}; try again soon", reason="OVERLOADED", retry_after_s=1.0
        )
        self._refused(refusal)
        return refusal
