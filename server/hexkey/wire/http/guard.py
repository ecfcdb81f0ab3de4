"""Reads bodies and refuses those that are too large, too slow or in a form nobody checks.

Pure ASGI: what passes has its whole body in the exchange, so no handler ever waits for a client's
bytes and no limit is checked twice.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hexkey.errors import Code
from hexkey.wire.http.access import ensure_known
from hexkey.wire.http.errors import CLOSE, ClientGone, HttpError
from hexkey.wire.http.exchange import KEY, Exchange
from hexkey.wire.http.inflate import ENCODINGS, PATHS, inflate

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from hexkey.service import Service
    from hexkey.wire.http.limits import HttpLimits

_WITHOUT_BODY = frozenset({"GET", "HEAD"})


class Guard:
    """Counts what is under way and reads each body within its limits; raises ``HttpError``."""

    def __init__(self, app: ASGIApp, service: Service, limits: HttpLimits) -> None:
        self._app = app
        self._service = service
        self._limits = limits
        self._running = 0
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        exchange: Exchange = scope[KEY]
        headers = exchange.headers
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            # No body means no work for a model: health and metrics answer also under overload.
            await self._app(scope, receive, send)
            return
        if exchange.scope["method"] not in _WITHOUT_BODY:
            ensure_known(exchange, self._service)
        if self._running >= self._limits.max_concurrent:
            raise self._busy(f"{self._limits.max_concurrent} requests are under way")
        self._running += 1
        held: list[bytes] = []
        try:
            exchange.body = await self._read(exchange)
            if _packed(exchange):
                most = self._limits.max_body_bytes
                exchange.body = await asyncio.to_thread(inflate, exchange.body, most)
            # It is held as long as its request waits or runs.
            held.append(exchange.body)
            self._hold(len(exchange.body))
            await self._app(scope, receive, send)
        finally:
            self._release(held)
            self._running -= 1

    async def _read(self, exchange: Exchange) -> bytes:
        """Return the whole body."""
        limits, headers = self._limits, exchange.headers
        encoding = headers.get(b"content-encoding", b"identity").lower()
        refusal = None if encoding == b"identity" or _packed(exchange) else _compressed()
        declared = headers.get(b"content-length", b"0")
        if refusal is None and int(declared) > limits.max_body_bytes:
            refusal = self._too_large()
        if refusal is not None and headers.get(b"expect", b"").lower() == b"100-continue":
            raise refusal
        loop = asyncio.get_running_loop()
        began = loop.time()
        parts: list[bytes] = []
        size, more = 0, True
        try:
            while more:
                until = limits.body_first_s + size / limits.body_min_rate
                # A body mostly comes with its headers, and a timer for nothing has its price.
                end = None if exchange.line.whole else began + min(until, limits.body_total_s)
                message = await _next(exchange.receive, end)
                if message["type"] == "http.disconnect":
                    raise ClientGone
                part, more = message.get("body", b""), message.get("more_body", False)
                size += len(part)
                if refusal is None and size > limits.max_body_bytes:
                    refusal = self._too_large()
                if refusal is None:
                    parts.append(part)
                    self._hold(len(part))
                else:
                    self._release(parts)
                    if size > limits.max_drain_bytes:
                        raise refusal
        except TimeoutError:
            raise refusal or _slow() from None
        finally:
            whole = parts[0] if len(parts) == 1 else b"".join(parts)
            self._release(parts)
        if refusal is not None:
            raise refusal
        return whole

    def _hold(self, size: int) -> None:
        self._held += size
        if self._held > self._limits.max_held_bytes:
            raise self._busy("the bodies of requests fill the memory set aside for them")

    def _release(self, parts: list[bytes]) -> None:
        self._held -= sum(map(len, parts))
        parts.clear()

    def _busy(self, why: str) -> HttpError:
        refusal = HttpError(
            503,
            f"{why}; try again soon",
            reason="OVERLOADED",
            code=Code.UNAVAILABLE,
            headers=(CLOSE,),
            retry_after_s=1.0,
        )
        self._service.metrics.refuse(refusal)
        return refusal

    def _too_large(self) -> HttpError:
        return HttpError(
            413,
            f"the body is larger than the {self._limits.max_body_bytes} bytes that are taken",
            reason="BODY_TOO_LARGE",
            code=Code.TOO_LARGE,
            headers=(CLOSE,),
        )


async def _next(receive: Receive, end: float | None) -> Message:
    if end is None:
        return await receive()
    async with asyncio.timeout_at(end):
        return await receive()


def _packed(exchange: Exchange) -> bool:
    encoding = exchange.headers.get(b"content-encoding", b"").lower()
    path: str = exchange.scope["path"]
    return encoding in ENCODINGS and path.startswith(PATHS)


def _compressed() -> HttpError:
    return HttpError(
        415,
        "compressed bodies are not taken; send the body without Content-Encoding",
        reason="ENCODING_NOT_SUPPORTED",
        headers=(CLOSE,),
    )


def _slow() -> HttpError:
    return HttpError(
        408,
        "the body came too slowly",
        reason="BODY_TIMEOUT",
        code=Code.DEADLINE_EXCEEDED,
        headers=(CLOSE,),
    )
