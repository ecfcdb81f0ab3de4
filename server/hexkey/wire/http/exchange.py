"""One HTTP request and its response, as the handlers see them."""

from __future__ import annotations

import re
import secrets
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec

from hexkey.errors import invalid
from hexkey.types import ANYBODY, Payload, Request
from hexkey.wire import wishes
from hexkey.wire.http import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Receive, Scope, Send

    from hexkey.errors import ServeError
    from hexkey.types import Timing
    from hexkey.wire.http.errors import Dialect, Header
    from hexkey.wire.http.presence import Line
    from hexkey.wire.http.stream import Framing
    from hexkey.wire.wishes import Wishes

PROTOCOL = "http"
KEY = "hexkey.exchange"
LINE = "hexkey.line"
MAX_TIMEOUT_MS = 24 * 3600 * 1000
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_WISHES = tuple((name, name.encode()) for name in wishes.HEADERS)
_TIMEOUT_HEADERS = (b"x-request-timeout-ms", b"request-timeout-ms")
_JSON: Header = (b"content-type", b"application/json")
_READABLE: tuple[Header, ...] = (
    (b"access-control-expose-headers", b"*"),
    (b"vary", b"origin"),
)
_NO_SNIFF: Header = (b"x-content-type-options", b"nosniff")


class Exchange:
    """Lives as long as one request.

    ``body`` is whole once the guard let the request pass. ``started`` says that a status was sent,
    ``framing`` that the response is a stream: from then on an error can only be told as one of its
    values, which tells ``emitted``, the tokens of the stream's events. A stream that has nothing to
    say for ``quiet_s`` seconds sends a sign of life.
    ``dialect`` is how errors are told to whoever asks for this path, ``caller`` who that is.
    ``notes`` are what the caller should know of how it is served: headers fit into every API.
    ``origin`` is the page of another site that may read the answer, if one asks.
    ``timing`` and ``traceparent`` are what the answer's headers tell, where there is something to
    tell.
    """

    __slots__ = (
        "_began", "_began_loop", "_send", "body", "caller", "dialect", "emitted", "framing",
        "headers", "id", "notes", "origin", "quiet_s", "receive", "scope", "started", "timing",
        "traceparent",
    )  # fmt: skip

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, now: float, quiet_s: float
    ) -> None:
        self.scope = scope
        self.quiet_s = quiet_s
        self.receive = receive
        self._send = send
        self._began = perf_counter()
        self._began_loop = now
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.body = b""
        self.started = False
        self.framing: Framing | None = None
        self.emitted = 0
        self.dialect: Dialect = errors.OPENAI
        self.caller = ANYBODY
        self.notes: tuple[str, ...] = ()
        self.origin = b""
        self.timing: Timing | None = None
        self.traceparent = ""
        sent = self.headers.get(b"x-request-id", b"")
        self.id = sent.decode() if _REQUEST_ID.fullmatch(sent) else secrets.token_hex(16)

    @property
    def line(self) -> Line:
        """The connection it came by."""
        line: Line = self.scope[LINE]
        return line

    def deadline(self) -> float | None:
        """Return the deadline on the loop's clock; ``ServeError`` for a header that is no time."""
        for name in _TIMEOUT_HEADERS:
            value = self.headers.get(name)
            if value is None:
                continue
            if not value.isdigit() or len(value) > len(str(MAX_TIMEOUT_MS)):
                raise self._bad_timeout(name)
            timeout_ms = int(value)
            if not 0 < timeout_ms <= MAX_TIMEOUT_MS:
                raise self._bad_timeout(name)
            return self._began_loop + timeout_ms / 1000
        return None

    def request(self, payload: Payload, model: str | None, own: Wishes = wishes.SILENT) -> Request:
        """Return what core is asked for; what the body says, ``own``, beats the headers."""
        headers = self.headers
        return wishes.request_of(
            payload,
            model or "",
            own,
            {name: headers[key].decode("latin-1") for name, key in _WISHES if key in headers},
            id_=self.id,
            protocol=PROTOCOL,
            caller=self.caller,
            deadline=self.deadline(),
        )

    async def json(self, value: object, extra: Sequence[Header] = (), status: int = 200) -> None:
        """Answer with a JSON value."""
        await self.answer(status, msgspec.json.encode(value), (_JSON, *extra))

    async def refuse(self, error: ServeError) -> None:
        """Tell an error: as the answer or, where that has begun, as its last event."""
        error.tokens_emitted = msgspec.UNSET if self.framing is None else self.emitted
        body = errors.body_of(error, self.dialect)
        if not self.started:
            headers = (_JSON, *errors.headers_of(error))
            await self.answer(errors.status_of(error, self.dialect), body, headers)
        elif self.framing is not None:
            await self.write(self.framing.frame(body, "error"), more=False)

    async def answer(self, status: int, body: bytes, headers: Sequence[Header]) -> None:
        """Send a whole response."""
        await self.start(status, (*headers, (b"content-length", b"%d" % len(body))))
        await self.write(body, more=False)

    async def start(self, status: int, headers: Sequence[Header]) -> None:
        """Send status and headers."""
        self.started = True
        request_id = (b"x-request-id", self.id.encode())
        notes = [(b"x-hexkey-note", _header_value(note)) for note in self.notes]
        if self.traceparent:
            headers = (*headers, (b"traceparent", self.traceparent.encode()))
        if self.origin:
            allowed: Header = (b"access-control-allow-origin", self.origin)
            headers = (*headers, allowed, *_READABLE)
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [request_id, _NO_SNIFF, *notes, *headers],
            }
        )

    async def write(self, body: bytes, *, more: bool) -> None:
        """Send a piece of the body."""
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    def elapsed_s(self) -> float:
        """Return the seconds since the request's headers were read."""
        return perf_counter() - self._began

    def server_timing(self) -> list[Header]:
        """Return the header that says where the time went, where the caller may see it."""
        if self.timing is None:
            return []
        return [(b"server-timing", self.timing.header.encode())]

    @staticmethod
    def _bad_timeout(name: bytes) -> ServeError:
        return invalid(
            f"{name.decode()} must be a whole number of milliseconds from 1 to {MAX_TIMEOUT_MS}",
            name.decode(),
        )


def _header_value(text: str) -> bytes:
    return _CONTROL.sub(b"?", text.encode("latin-1", "replace"))
