"""Server-sent events on one exchange, written straight to ASGI."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hexkey.wire.http.errors import Header
    from hexkey.wire.http.exchange import Exchange

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
_HEADERS: tuple[Header, ...] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class EventStream:
    """The response; its headers and its opening events go out with the first write."""

    __slots__ = ("_exchange", "_head", "_model", "_quiet")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._model: str | None = None
        self._head = b""
        self._quiet = True

    def prepare(self, model: str, head: bytes) -> None:
        """Say who serves and what to send first."""
        self._model = model
        self._head = head

    async def write(self, chunk: bytes) -> None:
        """Send chunks of events."""
        self._quiet = False
        exchange = self._exchange
        if not exchange.started:
            chunk = self._head + chunk
            await self._open()
        await exchange.write(chunk, more=True)

    async def pulse(self) -> None:
        """Send a comment if nothing was sent since the last pulse, so that proxies stay."""
        if self._quiet and self._model is not None:
            await self.write(KEEP_ALIVE)
        self._quiet = True

    async def close(self) -> None:
        """End the response."""
        await self._exchange.write(b"", more=False)

    async def _open(self) -> None:
        exchange = self._exchange
        exchange.events = True
        model = (self._model or "").encode("latin-1", "replace")
        timing = exchange.timing(b"first")
        await exchange.start(
            200, (*_HEADERS, (b"x-hexkey-model", model), (b"server-timing", timing))
        )
