"""Reads each call's message within its time, and counts what all of them hold.

grpc calls the handler of a method that takes one message once that has come, however long it
takes, so a connection that sends a byte at a time could hold every place there is. Behind the
guard such methods are registered as ones that read for themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import grpc

from hexkey.errors import Code, ServeError, invalid
from hexkey.wire.grpc.call import Call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from google.protobuf.message import Message

    from hexkey.wire.grpc.call import Context, Method, Methods
    from hexkey.wire.grpc.limits import GrpcLimits

    Behave = Callable[[bytes, Context], Awaitable[Message | None]]

_EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # grpc's stubs do not know of it


class Guard:
    """What all calls of one listener share."""

    def __init__(self, limits: GrpcLimits) -> None:
        self._limits = limits
        self._held = 0
        self._watchers = 0

    def over(self, methods: Methods) -> Methods:
        """Return a service whose methods that take one message read it behind the guard."""
        return _Guarded(methods, self._reading)

    @contextlib.contextmanager
    def watcher(self) -> Iterator[None]:
        """Count a stream that lasts as long as its caller likes; ``ServeError`` if too many do."""
        if self._watchers >= self._limits.max_watchers:
            raise _busy(f"{self._watchers} watch already")
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1

    def _reading(self, behave: Behave) -> Callable[[object, Context], Awaitable[Message | None]]:
        async def handle(_messages: object, context: Context) -> Message | None:
            try:
                data = await self._read(context)
            except ServeError as error:
                await Call(context).refuse(error)
            # It is held as long as its call waits or runs.
            self._held += len(data)
            try:
                return await behave(data, context)
            finally:
                self._held -= len(data)

        return handle

    async def _read(self, context: Any) -> bytes:
        """Return the one message of a call."""
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
            raise _busy("the messages of calls fill the memory set aside for them")
        return data


class _Guarded(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in its stubs alone
    """A service behind the guard."""

    def __init__(self, methods: Methods, reading: Callable[[Behave], Any]) -> None:
        self._methods = methods
        self._reading = reading
        self._made: dict[str, Method] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Method | None:
        """Called by grpc: return the handler of a method, None where that is another service's."""
        made = self._made.get(handler_call_details.method)
        if made is None:
            method = self._methods.service(handler_call_details)
            if method is None or method.request_streaming:
                return method
            made = self._made[handler_call_details.method] = self._wrapped(method)
        return made

    def _wrapped(self, method: Method) -> Method:
        wrap: Any = grpc.stream_unary_rpc_method_handler
        if method.response_streaming:
            wrap = grpc.stream_stream_rpc_method_handler
        behave: Any = method.unary_stream or method.unary_unary
        made: Method = wrap(self._reading(behave), None, method.response_serializer)
        return made


def _busy(why: str) -> ServeError:
    return ServeError(
        Code.UNAVAILABLE, f"{why}; try again soon", reason="OVERLOADED", retry_after_s=1.0
    )
