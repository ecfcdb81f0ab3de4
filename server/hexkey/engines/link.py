"""The front end's end of the channel: one link per host launch, one mailbox per request."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from hexkey.engines.frames import (
    MAX_FRAME_BYTES,
    PREFIX_BYTES,
    Adapt,
    Adapted,
    Ask,
    Cancel,
    Exposition,
    FrameReader,
    FromHost,
    LoadFailed,
    Loading,
    Ready,
    Scrape,
    Step,
    Submit,
    ToHost,
    Told,
    encode,
    from_host,
)
from hexkey.errors import Code, ServeError
from hexkey.types import (
    PLAIN,
    Began,
    Delta,
    Event,
    Failure,
    HostEvent,
    Payload,
    Terms,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hexkey.engines.lexicon import Lexed, Question, Reply

MAX_ASKED = 16
"""Questions that may wait for one host, which answers them between its steps."""

# Each merge copies the text, so one without an end would take time with the square of its length.
MAX_MERGED_CHARACTERS = 4096
LOOK_BACK = 32
"""Events, since the outputs of one request come in turn."""


class Mailbox:
    """Events of one request on their way to its one consumer.

    A consumer that is slower than the engine finds deltas merged, so what waits here is bounded
    by the length of the answer, never by the number of steps; no event grows without bound.
    """

    __slots__ = ("_book", "_complete", "_events", "_submitted_ns", "_waiter", "began", "settled")

    def __init__(
        self,
        complete: Callable[[Usage], None] = lambda _usage: None,
        book: Callable[[], None] = lambda: None,
    ) -> None:
        self._complete = complete
        self._book = book
        self._events: deque[HostEvent | Began] = deque()
        self._submitted_ns = time.monotonic_ns()
        self._waiter: asyncio.Future[None] | None = None
        self.began = False
        self.settled = False

    def put(self, events: list[HostEvent]) -> None:
        """Add events; after the one that settles the request, further ones are dropped."""
        for event in events:
            if self.settled:
                return
            kind = type(event)
            if kind is Usage or kind is Failure:
                self.settled = True
                if kind is Usage:
                    self._complete(event)  # type: ignore[arg-type]  # it is one, see above
            elif kind is Delta and _merge(self._events, event):
                continue
            self._events.append(event)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def begin(self, begin_ns: int) -> None:
        """The request is in a step for the first time, which began then (monotonic clock)."""
        self.began = True
        self._events.append(Began(max(0, begin_ns - self._submitted_ns) / 1e9))

    def fail(self, error: Failure) -> None:
        """Settle with an error, unless settled already."""
        self.put([error])

    async def get(self) -> Event | Began:
        """Return the next event; raises ``ServeError`` where the request failed."""
        while not self._events:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        event = self._events.popleft()
        if type(event) is Usage:
            self._book()
        elif type(event) is Failure:
            self._book()
            raise ServeError(event.code, event.message, param=event.param)
        return event  # type: ignore[return-value]  # a Failure was raised above


def _merge(waiting: deque[HostEvent | Began], event: HostEvent) -> bool:
    """Add a delta to the last one of its output, if that waits among the last events."""
    if not waiting or type(event) is not Delta:
        return False
    for last in islice(reversed(waiting), LOOK_BACK):
        if type(last) is Delta and last.index == event.index:
            if len(last.text) > MAX_MERGED_CHARACTERS:
                return False
            last.text += event.text
            last.tokens += event.tokens
            last.logprobs += event.logprobs
            return True
    return False


class Link(asyncio.Protocol):
    """One launch of a host: frames in, frames out, mailboxes by request id.

    ``on_change`` is called, with this link, when ``ready``, ``refused`` or ``closed`` is set.
    ``on_step`` is told of each step before the usage of a request that was in it can be read, and
    before one leaves, but after its tokens have gone on their way where the engine goes on.
    """

    def __init__(
        self,
        incarnation: int,
        on_change: Callable[[Link], None],
        on_step: Callable[[Step], None],
        on_loading: Callable[[str], None],
    ) -> None:
        self.incarnation = incarnation
        self.ready: Ready | None = None
        self.refused: str | None = None
        self.closed = False
        self.running = 0
        self.last_frame = asyncio.get_running_loop().time()
        self._on_change = on_change
        self._on_step = on_step
        self._on_loading = on_loading
        self._reader: FrameReader[FromHost] = FrameReader(from_host)
        self._mailboxes: dict[int, Mailbox] = {}
        self._transport: asyncio.Transport | None = None
        self._outbox: list[bytes] = []
        self._next_id = 0
        self._scrape: asyncio.Future[bytes] | None = None
        self._adapting: dict[str, asyncio.Future[str]] = {}
        self._asked: dict[int, asyncio.Future[Reply]] = {}
        self._unbooked: list[Step] = []

    @property
    def waiting(self) -> int:
        """Requests submitted and not yet settled."""
        return len(self._mailboxes)

    def send(self, message: ToHost) -> None:
        """Send one frame; a no-op on a closed link."""
        self._write(encode(message))

    def _write(self, frame: bytes) -> None:
        if self._transport is None or self.closed:
            return
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush, self._transport)
        self._outbox.append(frame)

    def _flush(self, transport: asyncio.Transport) -> None:
        # All of one turn of the loop at once: a write wakes the host's process, which costs more
        # than everything else that is done for a short request here.
        outbox, self._outbox = self._outbox, []
        if not self.closed:
            transport.writelines(outbox)

    def submit(
        self,
        payload: Payload,
        complete: Callable[[Usage], None] = lambda _usage: None,
        terms: Terms = PLAIN,
        *,
        whole: bool = False,
    ) -> tuple[int, Mailbox]:
        """Send a request to the host; its events arrive in the mailbox.

        ``complete`` is told of its usage as soon as that is here, however slowly it is read. Raises
        ``ServeError`` for a request that no frame can hold: the host would end by it.
        """
        self._next_id += 1
        mailbox = Mailbox(complete, self._book)
        if self.closed:
            mailbox.fail(Failure(Code.UNAVAILABLE, "the engine's process has ended"))
            return self._next_id, mailbox
        frame = encode(Submit(self._next_id, payload, whole, terms))
        if len(frame) > PREFIX_BYTES + MAX_FRAME_BYTES:
            raise ServeError(
                Code.TOO_LARGE, f"an engine takes requests of up to {MAX_FRAME_BYTES >> 20} MiB"
            )
        self._write(frame)
        self._mailboxes[self._next_id] = mailbox
        return self._next_id, mailbox

    async def exposition(self) -> bytes:
        """Return the metrics that the host's engine keeps; ``ServeError`` where the link ends."""
        if self.closed:
            raise ServeError(Code.UNAVAILABLE, "the engine's process has ended")
        if self._scrape is None:
            self._scrape = asyncio.get_running_loop().create_future()
            self.send(Scrape())
        # One answer serves all who wait for it, and one who leaves takes it from nobody.
        return await asyncio.shield(self._scrape)

    async def adapt(self, adapter: str, *, hold: bool) -> None:
        """Have the host hold an adapter, or hold it no longer; one call at a time for each.

        ``ServeError`` where the engine does not take it, or the link ends.
        """
        if self.closed:
            raise ServeError(Code.UNAVAILABLE, "the engine's process has ended")
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._adapting[adapter] = answer
        self.send(Adapt(adapter, hold))
        try:
            error = await answer
        finally:
            del self._adapting[adapter]
        if error:
            raise ServeError(Code.UNAVAILABLE, error)

    async def lex(self, question: Question) -> Lexed:
        """Return the model's answer about its tokens; ``ServeError`` where it has none."""
        if self.closed:
            raise ServeError(Code.UNAVAILABLE, "the engine's process has ended")
        if len(self._asked) >= MAX_ASKED:
            raise ServeError(
                Code.UNAVAILABLE, "too many questions about tokens wait", retry_after_s=1.0
            )
        self._next_id += 1
        asked = self._next_id
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._asked[asked] = reply
        self.send(Ask(asked, question))
        # Its place stays taken where this one leaves: the host works on it all the same.
        told = await reply
        if isinstance(told, Failure):
            raise ServeError(told.code, told.message, param=told.param)
        return told

    def forget(self, request_id: int) -> None:
        """End a request from this side; the engine is told unless it settled by itself."""
        self._book()
        if self._mailboxes.pop(request_id, None) is not None:
            self.send(Cancel(request_id))

    def abort(self, reason: str) -> None:
        """Close the link; everything under way fails with UNAVAILABLE."""
        if self.closed:
            return
        self.closed = True
        self._book()
        if self._transport is not None:
            self._transport.abort()
        for mailbox in self._mailboxes.values():
            mailbox.fail(Failure(Code.UNAVAILABLE, reason))
        self._mailboxes.clear()
        if self._scrape is not None:
            self._scrape.set_exception(ServeError(Code.UNAVAILABLE, reason))
            self._scrape.exception()  # seen, also where everyone who waited has left
            self._scrape = None
        for answer in self._adapting.values():
            if not answer.done():
                answer.set_result(reason)
        for reply in self._asked.values():
            if not reply.done():
                reply.set_result(Failure(Code.UNAVAILABLE, reason))
        self._asked.clear()
        self._on_change(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = transport  # type: ignore[assignment]  # a socket gives a Transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop's signature
        """Called by the event loop."""
        self.abort("the engine's process ended while it served this request")

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self.last_frame = asyncio.get_running_loop().time()
        try:
            messages = self._reader.feed(data)
        except ValueError:
            self.abort("the engine's process sent a frame that cannot be read")
            return
        for message in messages:
            if type(message) is Step:
                self._take_step(message)
            elif type(message) is Exposition:
                self._take_exposition(message)
            elif type(message) is Adapted:
                self._take_adapted(message)
            elif type(message) is Told:
                self._take_reply(message)
            elif type(message) is Ready:
                self.ready = message
                self._on_change(self)
            elif type(message) is LoadFailed:
                self.refused = message.message
                self._on_change(self)
            elif type(message) is Loading:
                self._on_loading(message.message)

    def _take_exposition(self, message: Exposition) -> None:
        if self._scrape is not None:
            self._scrape.set_result(message.text)
            self._scrape = None

    def _take_adapted(self, message: Adapted) -> None:
        answer = self._adapting.get(message.adapter)
        if answer is not None and not answer.done():
            answer.set_result(message.error)

    def _take_reply(self, message: Told) -> None:
        reply = self._asked.pop(message.id, None)
        if reply is not None and not reply.done():
            reply.set_result(message.reply)

    def _take_step(self, step: Step) -> None:
        if step.incarnation != self.incarnation:
            return
        self.running = step.running
        for request_id, _tokens, _context in step.computed:
            mailbox = self._mailboxes.get(request_id)
            if mailbox is not None and not mailbox.began:
                mailbox.begin(step.begin_ns)
        for request_id, events in step.events:
            mailbox = self._mailboxes.get(request_id)
            if mailbox is None:
                continue
            mailbox.put(events)
            if mailbox.settled:
                del self._mailboxes[request_id]
        self._unbooked.append(step)
        if step.running:
            # Behind the turns of those who were woken just now.
            asyncio.get_running_loop().call_soon(self._book)
        else:
            # What comes after it is idle or not by who waits at this moment.
            self._book()

    def _book(self) -> None:
        steps, self._unbooked = self._unbooked, []
        for step in steps:
            self._on_step(step)
