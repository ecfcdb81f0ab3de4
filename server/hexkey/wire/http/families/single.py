"""What the APIs that answer with one output have in common: how it is served, and its times."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from hexkey.errors import ServeError
from hexkey.types import FinishReason
from hexkey.wire.http import codec
from hexkey.wire.http.runs import collect, served_by, stream
from hexkey.wire.http.stream import SSE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hexkey.run import Run
    from hexkey.types import Delta, Finish, Usage
    from hexkey.wire.answer import Output
    from hexkey.wire.http.exchange import Exchange
    from hexkey.wire.http.stream import Framing


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from the request's headers to the first output, and from there to the end."""

    prompt_s: float = 0.0
    output_s: float = 0.0

    @classmethod
    def of(cls, exchange: Exchange, first_at: float) -> Times:
        """Return the times of an exchange that ends now; ``first_at`` is 0 if nothing came out."""
        total_s = exchange.elapsed_s()
        output_s = perf_counter() - first_at if first_at else 0.0
        return cls(max(0.0, total_s - output_s), output_s)


class SingleEncoder(ABC):
    """Writes the one output of a run, whole or in pieces; see ``runs.Encoder``.

    The last piece tells at once why the output ended and what it took, so both are kept for it.
    """

    __slots__ = ("exchange", "first_at", "model", "reason", "stop")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.model = ""
        self.reason = FinishReason.STOP
        self.stop = ""
        self.first_at = 0.0

    def start(self, model: str, notes: tuple[str, ...]) -> bytes:  # noqa: ARG002 - no place for notes
        """Keep who serves."""
        self.model = model
        return b""

    def delta(self, event: Delta) -> bytes:
        """Write more text."""
        if not self.first_at:
            self.first_at = perf_counter()
        return self.piece(event.text)

    def finish(self, event: Finish) -> bytes:
        """Keep why the output ended."""
        self.reason, self.stop = event.reason, event.stop
        return b""

    def keep(self, output: Output, first_at: float) -> None:
        """Keep what is known of an output that is passed on whole."""
        self.reason, self.stop, self.first_at = output.reason, output.stop, first_at

    def times(self) -> Times:
        """Return how long it took until now."""
        return Times.of(self.exchange, self.first_at)

    @abstractmethod
    def piece(self, text: str) -> bytes:
        """Write more text of a stream."""

    @abstractmethod
    def end(self, event: Usage) -> bytes:
        """Write the end of a stream."""

    @abstractmethod
    def whole(self, text: str, usage: Usage) -> object:
        """Return the answer that is no stream."""


async def serve(
    exchange: Exchange,
    run: Run,
    encoder: SingleEncoder,
    names: Mapping[str, str],
    framing: Framing | None = SSE,
) -> None:
    """Answer with a run's one output, framed as a stream or, where ``framing`` is None, whole.

    ``names`` are core's names of fields, each with the one that it has in this API.
    """
    try:
        if framing is not None:
            await stream(exchange, run, encoder, framing)
            return
        (output,), usage = await collect(exchange, run)
    except ServeError as error:
        raise codec.renamed(error, names) from None
    encoder.start(run.model, run.notes)
    encoder.keep(output, run.first_at)
    await exchange.json(
        encoder.whole(output.text, usage), served_by(exchange, run.model, usage.cost)
    )
