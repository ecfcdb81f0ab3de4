"""A response that is written as it comes to be: server-sent events, or JSON line by line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hexkey.wire.http.errors import Header
    from hexkey.wire.http.exchange import Exchange
    from hexkey.wire.http.runs import Encoder, Runs


@dataclass(frozen=True, slots=True)
class Framing:
    """What stands around each JSON value of a stream, and what is sent when nothing is said.

    ``named`` says that each value comes with the name of what it is.
    """

    content_type: bytes
    keep_alive: bytes
    before: bytes
    after: bytes
    named: bool = False

    def frame(self, value: bytes, name: str = "") -> bytes:
        """Return one JSON value as this stream carries it."""
        event = b"event: %b\n" % name.encode() if self.named else b""
        return event + self.before + value + self.after


SSE = Framing(b"text/event-stream; charset=utf-8", b": keep-alive\n\n", b"data: ", b"\n\n")
NAMED = replace(SSE, named=True)
# A line may begin with a space, while clients take an empty line for broken JSON.
NDJSON = Framing(b"application/x-ndjson", b" ", b"", b"\n")
DONE = SSE.frame(b"[DONE]")
HEADERS: tuple[Header, ...] = (
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class EventStream:
    """The response; its headers and its opening events go out with the first write."""

    __slots__ = ("_encoder", "_exchange", "_framing", "_head", "_quiet", "_run")

    def __init__(self, exchange: Exchange, framing: Framing = SSE) -> None:
        self._exchange = exchange
        self._framing = framing
        self._run: Runs | None = None
        self._encoder: Encoder | None = None
        self._head = b""
        self._quiet = True

    def prepare(self, run: Runs, encoder: Encoder) -> None:
        """Say whose events these are, and who writes them."""
        self._run = run
        self._encoder = encoder

    def begin(self) -> None:
        """Have the run stay with its model, and write what comes before its events, once."""
        run, encoder = self._run, self._encoder
        if run is not None and encoder is not None:
            run.seal()
            self._exchange.notes = run.notes
            self._head = encoder.start(run.model, run.notes)
            self._encoder = None

    async def write(self, chunk: bytes) -> None:
        """Send chunks of events."""
        self._quiet = False
        exchange = self._exchange
        if not exchange.started:
            chunk = self._head + chunk
            await self._open()
        await exchange.write(chunk, more=True)

    async def pulse(self) -> None:
        """Send a sign of life if nothing was sent since the last pulse, so that proxies stay."""
        if self._quiet and self._run is not None:
            self.begin()
            await self.write(self._framing.keep_alive)
        self._quiet = True

    async def close(self) -> None:
        """End the response."""
        await self._exchange.write(b"", more=False)

    async def _open(self) -> None:
        exchange = self._exchange
        exchange.framing = self._framing
        model = self._run.model.encode("latin-1", "replace") if self._run else b""
        content_type = (b"content-type", self._framing.content_type)
        served = ((b"x-hexkey-model", model), *exchange.server_timing())
        await exchange.start(200, (content_type, *HEADERS, *served))
