"""What a request took: one Meter follows its events, one Receipt is written when it settles."""

from __future__ import annotations

from enum import StrEnum
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from hexkey.charge import Spent
from hexkey.errors import Code, ServeError
from hexkey.metrics import NONE, PICO, Metrics
from hexkey.tasks import TASKS, Unit
from hexkey.types import Delta, Event, Finish, FinishReason, Request, Task, Timing, Usage

if TYPE_CHECKING:
    from hexkey.charge import Charge
    from hexkey.types import Began

log = structlog.get_logger("hexkey.request")


class Outcome(StrEnum):
    """How a request ended, for metrics and the log."""

    OK = "ok"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    DEADLINE = "deadline"
    REJECTED = "rejected"
    INVALID = "invalid"
    ERROR = "error"


_OUTCOME = {
    Code.INVALID_ARGUMENT: Outcome.INVALID,
    Code.NOT_FOUND: Outcome.INVALID,
    Code.TOO_LARGE: Outcome.INVALID,
    Code.UNAUTHENTICATED: Outcome.REJECTED,
    Code.PERMISSION_DENIED: Outcome.REJECTED,
    Code.RESOURCE_EXHAUSTED: Outcome.REJECTED,
    Code.DEADLINE_EXCEEDED: Outcome.DEADLINE,
    Code.CANCELLED: Outcome.CANCELLED,
    Code.SUPERSEDED: Outcome.SUPERSEDED,
    Code.UNAVAILABLE: Outcome.ERROR,
    Code.INTERNAL: Outcome.ERROR,
}


def outcome_of(error: BaseException | None) -> Outcome:
    """Return how a request ended that left with ``error``; what is no ``Exception`` is a cancel."""
    if error is None:
        return Outcome.OK
    if isinstance(error, ServeError):
        return _OUTCOME[error.code]
    return Outcome.ERROR if isinstance(error, Exception) else Outcome.CANCELLED


def log_refused(
    error: ServeError, *, request_id: str, protocol: str, tenant: str, duration_s: float
) -> None:
    """Write the log line of a request that ended before it was known what it asks for.

    Where it was known, its ``Meter`` has written one.
    """
    if error.logged:
        return
    error.logged = True
    log.info(
        "request",
        request_id=request_id,
        protocol=protocol,
        tenant=tenant,
        task=NONE,
        model=NONE,
        outcome=outcome_of(error),
        code=error.code.value,
        reason=error.reason.lower(),
        duration_ms=_ms(duration_s),
    )


class Receipt(msgspec.Struct, frozen=True):
    """The settled request: times in seconds, counts in the units named, no payload."""

    request_id: str
    protocol: str
    tenant: str
    task: Task
    model: str
    outcome: Outcome
    code: str
    duration_s: float
    queued_s: float | None
    first_s: float | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    input_characters: int
    audio_seconds: float
    spent: Spent | None
    timing: Timing
    reasons: tuple[FinishReason, ...]

    @property
    def unit(self) -> Unit:
        """What the amount of its task is counted in."""
        return TASKS[self.task].unit

    @property
    def amount(self) -> float:
        """How much was done, in ``unit``."""
        if self.unit is Unit.AUDIO_SECONDS:
            return self.audio_seconds
        if self.unit is Unit.CHARACTERS:
            return self.input_characters
        return self.input_tokens + self.output_tokens


class Trace(Protocol):
    """A request in a distributed trace; ``id`` is its trace's, empty where nobody records it."""

    id: str
    traceparent: str

    def end(self, receipt: Receipt) -> None:
        """The request is settled."""


class Tracer(Protocol):
    """What begins traces; see ``hexkey.tracing``."""

    def begin(self, request: Request) -> Trace:
        """Return the trace of a request that begins now."""

    def close(self) -> None:
        """Send what was recorded; blocks for some seconds at most."""


class Meter:
    """Follows one request. ``note`` costs about a microsecond, since it runs per token."""

    __slots__ = (
        "_admitted",
        "_begun",
        "_first",
        "_gaps",
        "_gave_up",
        "_in_line",
        "_last",
        "_legs",
        "_metrics",
        "_model",
        "_queued",
        "_queued_s",
        "_reasons",
        "_request",
        "_routed",
        "_tokens",
        "_trace",
        "_usage",
    )

    def __init__(self, metrics: Metrics, request: Request, tracer: Tracer | None = None) -> None:
        self._metrics = metrics
        self._request = request
        self._model = NONE
        self._queued = 0.0
        self._queued_s: float | None = None
        self._admitted = False
        self._in_line = True
        self._gave_up = False
        self._begun = perf_counter()
        self._routed = 0.0
        self._first = 0.0
        self._last = 0.0
        self._gaps: list[float] = []
        self._legs: list[tuple[str, Usage]] = []
        self._tokens = 0
        self._reasons: list[FinishReason] = []
        self._usage: Usage | None = None
        self._trace = tracer.begin(request) if tracer else None

    @property
    def trace_id(self) -> str:
        """The trace that records this request, as hexadecimal; empty where none does."""
        return self._trace.id if self._trace is not None else ""

    @property
    def traceparent(self) -> str:
        """What to tell others of this request's place in its trace; empty without tracing."""
        return self._trace.traceparent if self._trace is not None else ""

    def routed(self, model: str) -> None:
        """The request has its model, or the next one that is tried."""
        self._model = model
        self._routed = self._routed or perf_counter()

    def queued(self) -> None:
        """The request waits for its turn; a wait before that was in vain counts too."""
        self._waited()
        # One that is tried again has failed; that nobody else takes it is no refusal.
        self._in_line = not self._gave_up
        self._queued = perf_counter()

    def admitted(self) -> None:
        """The request, or its next leg, may run; one that settles without this was refused."""
        self._admitted = True
        self._in_line = False
        self._waited()

    def began(self, event: Began) -> None:
        """An engine has taken the request, or the next leg of it, up."""
        self._queued_s = (self._queued_s or 0.0) + event.queued_s

    def leg(self, model: str, usage: Usage) -> None:
        """A leg before the last is complete; its tokens count for its own model."""
        self._legs.append((model, usage))

    def gave_up(self) -> None:
        """The attempt under way is given up: nothing of it is part of the answer or its usage."""
        self._gave_up = True
        self._legs.append((self._model, Usage(output_tokens=self._tokens)))
        self._count_legs()
        self._legs.clear()
        self._gaps.clear()
        self._reasons.clear()
        self._tokens = 0
        self._first = self._last = 0.0

    def _waited(self) -> None:
        if self._queued:
            self._queued_s = (self._queued_s or 0.0) + perf_counter() - self._queued
            self._queued = 0.0

    def note(self, event: Event) -> None:
        """Take in one event."""
        if type(event) is Delta:
            now = perf_counter()
            if self._first:
                self._gaps.append((now - self._last) / (event.tokens or 1))
            else:
                self._first = now
            self._last = now
            self._tokens += event.tokens
        elif type(event) is Finish:
            self._reasons.append(event.reason)
        elif type(event) is Usage:
            self._usage = event
        elif type(event) is not Finish and not self._first:
            self._first = perf_counter()

    def forget(self) -> None:
        """What was noted was passed on to another request, which counts it."""
        self._tokens = 0

    @property
    def first_at(self) -> float:
        """When the first output came, on ``perf_counter``; 0 until then."""
        return self._first

    def timing(self) -> Timing:
        """Return where the time went until now."""
        now = perf_counter()
        routed, first = self._routed or now, self._first or now
        queue = self._queued_s
        if queue is None:
            # What no step was reported of has been waiting until its first output, or still does.
            queue = first - routed
        prefill = max(0.0, first - routed - queue)
        return Timing(routed - self._begun, queue, prefill, now - first)

    def settle(self, error: BaseException | None, charge: Charge | None = None) -> Receipt:
        """Write the request's metrics and its one log line; called once.

        ``charge`` is the account of a request that was admitted.
        """
        request, usage = self._request, self._usage
        self._waited()
        outcome = self._outcome(error)
        spent = charge.settle(outcome, usage) if charge else None
        receipt = Receipt(
            request_id=request.id,
            protocol=request.protocol,
            tenant=request.tenant,
            task=request.task,
            model=self._model,
            outcome=outcome,
            code=error.code.value if isinstance(error, ServeError) else outcome,
            duration_s=perf_counter() - self._begun,
            queued_s=self._queued_s,
            first_s=self._first - self._begun if self._first else None,
            input_tokens=usage.input_tokens if usage else 0,
            output_tokens=usage.output_tokens if usage else self._tokens,
            cached_tokens=usage.cached_tokens if usage else 0,
            input_characters=usage.input_characters if usage else 0,
            audio_seconds=usage.audio_seconds if usage else 0.0,
            spent=spent,
            timing=self.timing(),
            reasons=tuple(self._reasons),
        )
        self._count(receipt)
        if isinstance(error, ServeError) and self._in_line and error.code is not Code.SUPERSEDED:
            self._metrics.rejected.labels(receipt.task.value, error.reason.lower()).inc()
        if self._trace is not None:
            self._trace.end(receipt)
        if isinstance(error, ServeError):
            error.logged = True
        log.info(
            "request",
            request_id=receipt.request_id,
            protocol=receipt.protocol,
            tenant=receipt.tenant,
            task=receipt.task,
            model=receipt.model,
            outcome=outcome,
            code=receipt.code,
            duration_ms=_ms(receipt.duration_s),
            queued_ms=_ms(receipt.queued_s),
            first_ms=_ms(receipt.first_s),
            amount=round(receipt.amount, 3),
            unit=receipt.unit,
            input_tokens=receipt.input_tokens,
            output_tokens=receipt.output_tokens,
            cost_pico=spent.money if spent else 0,
            device_ms=round(spent.time / 1e6, 3) if spent else 0,
            **({"trace_id": self.trace_id} if self.trace_id else {}),
        )
        return receipt

    def _outcome(self, error: BaseException | None) -> Outcome:
        outcome = outcome_of(error)
        busy = isinstance(error, ServeError) and error.code is Code.UNAVAILABLE
        if busy and self._in_line:
            return Outcome.REJECTED
        if outcome is Outcome.OK and self._usage is None:
            return Outcome.CANCELLED
        return outcome

    def _count(self, receipt: Receipt) -> None:
        task, model = receipt.task, receipt.model
        series = self._metrics.of_request(task, model, receipt.outcome, receipt.protocol)
        series.requests.inc()
        traced = {"trace_id": self.trace_id} if self.trace_id else None
        series.duration.observe(receipt.duration_s, traced)
        if receipt.queued_s is not None:
            series.queue.observe(receipt.queued_s)
        if not self._admitted:
            return
        if receipt.first_s is not None:
            series.time_to_first_token.observe(receipt.first_s, traced)
        for gap in self._gaps:
            series.inter_token_latency.observe(gap)
        if receipt.spent is not None:
            series.cost.observe(receipt.spent.money / PICO)
            for reference, amount in receipt.spent.counterfactual.items():
                labels = (reference, task, self._metrics.currency)
                self._metrics.counterfactual.labels(*labels).inc(amount / PICO)
        before = [leg for _, leg in self._legs] if self._usage else []
        series.input_tokens.inc(receipt.input_tokens - sum(leg.input_tokens for leg in before))
        series.output_tokens.inc(receipt.output_tokens - sum(leg.output_tokens for leg in before))
        self._count_legs()
        series.input_characters.inc(receipt.input_characters)
        if receipt.audio_seconds:
            series.audio_seconds.inc(receipt.audio_seconds)

    def _count_legs(self) -> None:
        task, tokens = self._request.task, self._metrics.tokens
        for name, leg in self._legs:
            tokens.labels(task, name, "input").inc(leg.input_tokens)
            tokens.labels(task, name, "output").inc(leg.output_tokens)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
