"""From a run to a response: collected into one answer, or passed on event by event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self, TypeVar, runtime_checkable

from hexkey.types import Delta, Event, Finish, Scores, Segment, Usage, Vector
from hexkey.wire.answer import gather
from hexkey.wire.http.presence import Presence
from hexkey.wire.http.stream import SSE, EventStream, Framing

if TYPE_CHECKING:
    from types import TracebackType

    from hexkey.types import Cost, Timing
    from hexkey.wire.answer import Answer, Output
    from hexkey.wire.http.errors import Header
    from hexkey.wire.http.exchange import Exchange


F = TypeVar("F", Vector, Scores)


class Runs(Protocol):
    """What ``service.Run`` is to this wire; ``Several`` is another one."""

    @property
    def model(self) -> str:
        """Name of the model that serves."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the caller should know."""

    def whole(self) -> None:
        """Say that nobody reads the answer before it is complete."""

    @property
    def traceparent(self) -> str:
        """The run's place in its trace; empty without tracing, and for several."""

    @property
    def timing(self) -> Timing | None:
        """Where the time went until now, for callers who may see it."""

    def seal(self) -> None:
        """Say that the caller is told who serves; no other model may from now on."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None: ...

    async def __anext__(self) -> Event:
        """Return the next event; ``Usage`` is the last."""


class Encoder(Protocol):
    """How one API family writes events. Each method returns framed values, or nothing."""

    def start(self, model: str, notes: tuple[str, ...]) -> bytes:
        """Write what comes before the first output."""

    def delta(self, event: Delta) -> bytes:
        """Write more text."""

    def finish(self, event: Finish) -> bytes:
        """Write that one output is complete."""

    def end(self, event: Usage) -> bytes:
        """Write what comes after the last output, the end mark included."""


@runtime_checkable
class SegmentEncoder(Protocol):
    """An encoder that also writes when what was said."""

    def segment(self, event: Segment) -> bytes:
        """Write what was said in a part of the audio."""


async def whole(exchange: Exchange, run: Runs) -> Answer:
    """Run to the end; what its answer's headers tell is in the exchange then."""
    run.whole()
    exchange.traceparent = run.traceparent
    async with Presence(exchange.line), run:
        answer = await gather(run)
        exchange.notes = run.notes
    exchange.timing = answer.usage.timing
    return answer


async def collect(exchange: Exchange, run: Runs) -> tuple[tuple[Output, ...], Usage]:
    """Run to the end; return the outputs and what they took."""
    answer = await whole(exchange, run)
    return answer.outputs, answer.usage


async def found(exchange: Exchange, run: Runs, kind: type[F]) -> tuple[list[F], Usage]:
    """Run to the end; return the vectors or scores, by index, and what they took."""
    answer = await whole(exchange, run)
    return [one for one in answer.found if isinstance(one, kind)], answer.usage


async def spoken(exchange: Exchange, run: Runs) -> tuple[str, tuple[Segment, ...], Usage]:
    """Run to the end; return what was said, when, and what it took."""
    answer = await whole(exchange, run)
    text = "".join(output.text for output in answer.outputs).strip()
    return text, answer.segments, answer.usage


async def stream(exchange: Exchange, run: Runs, encoder: Encoder, framing: Framing = SSE) -> None:
    """Pass a run on as a stream.

    The headers wait for the first event, so whatever is refused before it has its own status; only
    when that takes longer than the pulse do they go out ahead, with a sign of life.
    """
    out = EventStream(exchange, framing)
    exchange.traceparent = run.traceparent
    async with Presence(exchange.line, out.pulse, exchange.quiet_s), run:
        out.prepare(run, encoder)
        while True:
            event = await run.__anext__()
            if not exchange.started:
                exchange.timing = run.timing
            out.begin()
            if type(event) is Delta:
                exchange.emitted += event.tokens
                await out.write(encoder.delta(event))
            elif type(event) is Finish:
                await out.write(encoder.finish(event))
            elif type(event) is Segment and isinstance(encoder, SegmentEncoder):
                await out.write(encoder.segment(event))
            elif type(event) is Usage:
                await out.write(encoder.end(event))
                break
    await out.close()


def served_by(exchange: Exchange, model: str, cost: Cost | None) -> list[Header]:
    """Return the headers that say who served, how long it took and what it cost."""
    headers: list[Header] = [
        (b"x-hexkey-model", model.encode("latin-1", "replace")),
        *exchange.server_timing(),
    ]
    if cost is not None:
        headers += [
            (b"x-request-cost", cost.amount.encode()),
            (b"x-request-cost-currency", cost.currency.encode()),
        ]
        if cost.currency == "USD":
            headers.append((b"x-litellm-response-cost", cost.amount.encode()))
    return headers
