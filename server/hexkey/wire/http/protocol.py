"""uvicorn's httptools protocol with the bounds it lacks: on headers, connections, dead readers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from hexkey.errors import Code
from hexkey.wire.http import errors
from hexkey.wire.http.errors import HttpError
from hexkey.wire.http.exchange import LINE
from hexkey.wire.http.joined import Joined
from hexkey.wire.http.unchunked import Unchunked

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Any

    from hexkey.wire.http.limits import HttpLimits


@dataclass(slots=True)
class Door:
    """What all connections of one listener share; ``stopping`` makes each answer its last.

    ``requested_at`` is when the latest request came, on the loop's clock.
    """

    limits: HttpLimits
    stopping: bool = False
    requested_at: float = 0.0


class HeaderTooLarge(Exception):  # noqa: N818 - it stops the parser and is answered as an HttpError
    """The headers are larger than is taken."""


class Protocol(HttpToolsProtocol):
    """One connection.

    A client has ``header_s`` from connecting, or from the first byte of a further request, to
    complete its headers; one that stops reading its answer for ``write_stall_s`` is cut off.
    """

    def __init__(self, door: Door, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._door = door
        self._limits = door.limits
        self._header_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._in_headers = False
        self._in_trailers = False
        self._section_begun = False
        # One, or several where requests are pipelined, of which the first runs.
        self._cycles: deque[RequestResponseCycle] = deque()
        self._gone: Callable[[], None] | None = None
        self._lost = False
        self._late: asyncio.Handle | None = None

    @property
    def whole(self) -> bool:
        """See ``Line``."""
        return not self.cycle.more_body

    def watch(self, gone: Callable[[], None] | None) -> None:
        """See ``Line``."""
        self._gone = gone
        if self._late is not None:
            self._late.cancel()
        if gone is None:
            return
        # A large body has made the flow pause, and who does not read sees nobody leave.
        self.flow.resume_reading()
        if self._lost:
            self._late = self.loop.call_soon(gone)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        super().connection_made(transport)  # type: ignore[arg-type]  # a socket gives a Transport
        if len(self.connections) > self._limits.max_connections:
            self._refuse(
                HttpError(
                    503,
                    "too many connections; try again soon",
                    reason="OVERLOADED",
                    code=Code.UNAVAILABLE,
                )
            )
            return
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._headers_came()
        self.resume_writing()
        super().connection_lost(exc)
        self._lost = True
        for cycle in self._cycles:  # uvicorn tells the last one only
            cycle.disconnected = True
            cycle.message_event.set()
        if self._gone is not None:
            self._gone()

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._section_begun = False
        self._feed(data)
        if self.transport.is_closing():
            return
        if self._in_headers and self._header_timer is None:
            self._await_headers()
        if (self._in_headers or self._in_trailers) and not self._section_begun:
            # Counted as they come, since the parser tells of a header only once it is whole.
            self._header_bytes += len(data)
            if self._header_bytes > self._limits.max_header_bytes:
                self._refuse(self._too_large())
        elif self._header_timer is None and self._idle and self.timeout_keep_alive_task is None:
            # Bytes that belong to no request ended the wait for the next one without beginning it.
            self._await_headers()

    def on_message_begin(self) -> None:
        """Called by the parser."""
        super().on_message_begin()
        self._in_headers = self._section_begun = True
        self._header_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser, for trailers too."""
        # A trailer is no header (RFC 9110, 6.5.1): as one it would slip by whoever checks those.
        if self._in_headers:
            super().on_header(name, value)

    def on_chunk_header(self) -> None:
        """Called by the parser; what follows the last chunk's are trailers."""
        self._in_trailers = self._section_begun = True
        self._header_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._in_trailers = False
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._in_headers = False
        self._headers_came()
        if self._oversized:
            raise HeaderTooLarge
        if self.parser.should_upgrade():
            return
        self.scope[LINE] = self  # type: ignore[literal-required]  # a key of our own
        super().on_headers_complete()
        if self.scope["http_version"] < "1.1":
            self.cycle.__class__ = Unchunked
        self._cycles.append(self.cycle)
        self.cycle.transport = Joined(self.transport, self.loop)  # type: ignore[assignment]  # as far as it is used
        self._door.requested_at = self.loop.time()
        if self._door.stopping:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._in_trailers = False
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Called at the end of each answer, which come in turn."""
        self._cycles.popleft()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        """Called where the parser failed."""
        if self._oversized:
            self._refuse(self._too_large())
        else:
            self._refuse(HttpError(400, "this is not an HTTP request", reason="BAD_REQUEST"))

    def pause_writing(self) -> None:
        """Called by the transport."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self._limits.write_stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Called by the transport."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def shutdown(self) -> None:
        """Called at a stop: closes at once if idle, else after the answer under way."""
        if not self._in_headers:
            super().shutdown()

    @property
    def _oversized(self) -> bool:
        if not self.headers:
            return False
        size = len(self.url) + sum(map(len, chain(*self.headers))) + 4 * len(self.headers)
        return size > self._limits.max_header_bytes

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _feed(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._serve_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")

    def _serve_without_upgrade(self, body: bytes) -> None:
        """Serve a request that offers to upgrade as if it did not (RFC 9110, 7.8).

        The parser takes an upgrade for the end of HTTP and leaves the body unread, which Java's
        client, offering h2c with each POST, would not understand. So a second one reads it again.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.send_400_response("")
            return
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (method, self.url, version), b"connection: close"]
        lines += [
            b"%b: %b" % (name, value)
            for name, value in self.headers
            if name not in {b"connection", b"upgrade"}
        ]
        self.parser = httptools.HttpRequestParser(self)
        self._feed(b"\r\n".join([*lines, b"\r\n"]) + body)

    def _await_headers(self) -> None:
        self._header_timer = self.loop.call_later(self._limits.header_s, self._headers_late)

    def _headers_came(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _headers_late(self) -> None:
        self._header_timer = None
        if self.transport.is_closing():
            return
        if self._in_headers and self._idle:
            self._refuse(
                HttpError(
                    408,
                    "the headers came too slowly",
                    reason="HEADER_TIMEOUT",
                    code=Code.DEADLINE_EXCEEDED,
                )
            )
        elif self._idle:
            self.transport.close()
        else:
            # An answer is on its way; the half-sent next request must not cut it off.
            self.cycle.keep_alive = False

    def _too_large(self) -> HttpError:
        return HttpError(
            431,
            f"the headers are larger than the {self._limits.max_header_bytes} bytes that are taken",
            reason="HEADERS_TOO_LARGE",
            code=Code.TOO_LARGE,
        )

    def _refuse(self, error: HttpError) -> None:
        """Answer outside ASGI, and close."""
        self._headers_came()
        if self.pipeline or not (self._idle or not self.cycle.response_started):
            # An answer is on its way to a client that sends nonsense after it; two would mix.
            self.transport.close()
            return
        body = errors.body_of(error)
        lines = [STATUS_LINE[error.status]]
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            *errors.headers_of(error),
            errors.CLOSE,
        ]
        for name, value in headers:
            lines += [name, b": ", value, b"\r\n"]
        self.transport.write(b"".join([*lines, b"\r\n", body]))
        self.transport.close()
