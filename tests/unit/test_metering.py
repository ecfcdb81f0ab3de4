"""Metering: one receipt per request, outcomes for every code, and labels that stay few."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from hexkey.errors import Code, ServeError
from hexkey.metering import Meter, Outcome, Receipt, outcome_of
from hexkey.metrics import NONE, Metrics
from hexkey.types import (
    Began,
    Delta,
    Finish,
    FinishReason,
    Payload,
    Request,
    Scores,
    Usage,
    Vector,
)
from tests.unit.requests import CHAT, ONE_OF_EACH, request, translate

OUTCOMES = {
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


def samples(metrics: Metrics) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return sum(
        amount
        for found, has, amount in samples(metrics)
        if found == f"hexkey_{name}" and labels.items() <= has.items()
    )


def admitted(metrics: Metrics) -> Meter:
    meter = Meter(metrics, request())
    meter.routed("m")
    meter.admitted()
    return meter


def test_every_code_has_its_outcome() -> None:
    assert set(OUTCOMES) == set(Code)
    for code, outcome in OUTCOMES.items():
        assert outcome_of(ServeError(code, "x")) is outcome


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, Outcome.OK),
        (asyncio.CancelledError(), Outcome.CANCELLED),
        (GeneratorExit(), Outcome.CANCELLED),
        (KeyboardInterrupt(), Outcome.CANCELLED),
        (ValueError("a bug"), Outcome.ERROR),
        (TimeoutError(), Outcome.ERROR),
    ],
)
def test_what_is_no_error_of_ours_has_an_outcome_too(
    error: BaseException | None, outcome: Outcome
) -> None:
    assert outcome_of(error) is outcome


def test_a_receipt_of_a_request_that_succeeded() -> None:
    metrics = Metrics()
    meter = admitted(metrics)
    for event in (
        Delta(0, "a", 1),
        Delta(0, "bcd", 3),
        Finish(0, FinishReason.STOP),
        Usage(7, 4, 0, 21),
    ):
        meter.note(event)
    with capture_logs() as lines:
        receipt = meter.settle(None)
    assert (receipt.outcome, receipt.code, receipt.model) == (Outcome.OK, "ok", "m")
    assert (receipt.input_tokens, receipt.output_tokens, receipt.input_characters) == (7, 4, 21)
    assert receipt.first_s is not None
    assert 0 <= receipt.first_s <= receipt.duration_s
    labels = {"task": "chat", "model": "m"}
    by_request = {**labels, "outcome": "ok", "protocol": "http"}
    for name in ("requests_total", "request_duration_seconds_count", "inter_token_latency_seconds"):
        suffix = "" if "_count" in name or "_total" in name else "_count"
        assert value(metrics, name + suffix, **by_request) == 1
    assert value(metrics, "time_to_first_token_seconds_count", **by_request) == 1
    assert value(metrics, "tokens_total", direction="input", **labels) == 7
    assert value(metrics, "tokens_total", direction="output", **labels) == 4
    assert value(metrics, "input_characters_total", **labels) == 21
    assert value(metrics, "rejected_total") == 0
    (line,) = lines
    assert (line["event"], line["request_id"], line["outcome"]) == ("request", "r1", "ok")


@pytest.mark.parametrize(
    ("payload", "unit", "amount"),
    [(CHAT, "tokens", 9), (translate(), "characters", 21), (ONE_OF_EACH[6], "audio_seconds", 2.5)],
)
def test_the_line_tells_the_amount_in_the_tasks_own_unit(
    payload: Payload, unit: str, amount: float
) -> None:
    meter = Meter(Metrics(), request(payload))
    meter.admitted()
    meter.note(Usage(7, 2, 0, 21, 2.5))
    with capture_logs() as lines:
        meter.settle(None)
    assert (lines[0]["unit"], lines[0]["amount"]) == (unit, amount)


def test_audio_and_vectors_are_counted_in_units_of_their_own() -> None:
    metrics = Metrics()
    meter = admitted(metrics)
    for event in (Vector(0, b""), Scores(1, (0.5,)), Usage(7, audio_seconds=2.5)):
        meter.note(event)
    receipt = meter.settle(None)
    assert receipt.audio_seconds == 2.5
    assert receipt.first_s is not None
    assert value(metrics, "input_audio_seconds_total", model="m") == 2.5
    assert value(metrics, "time_to_first_token_seconds_count") == 1
    assert value(metrics, "inter_token_latency_seconds_count") == 0


def test_a_request_cut_short_counts_what_was_generated() -> None:
    metrics = Metrics()
    meter = admitted(metrics)
    meter.note(Delta(0, "abc", 5))
    receipt = meter.settle(asyncio.CancelledError())
    assert (receipt.outcome, receipt.code, receipt.output_tokens) == ("cancelled", "cancelled", 5)
    assert value(metrics, "tokens_total", direction="output") == 5


@pytest.mark.parametrize("code", list(Code))
def test_a_refusal_counts_as_one_and_takes_nothing(code: Code) -> None:
    metrics = Metrics()
    receipt = Meter(metrics, request()).settle(ServeError(code, "no"))
    assert (receipt.model, receipt.code, receipt.first_s) == (NONE, code.value, None)
    # One that was superseded was not refused: nobody wants it any more.
    refused = value(metrics, "rejected_total", task="chat", reason=code.value)
    assert refused == (code is not Code.SUPERSEDED)
    # What is unavailable before it was admitted was refused, and did not fail in a model.
    expected = Outcome.REJECTED if code is Code.UNAVAILABLE else OUTCOMES[code]
    assert value(metrics, "requests_total", model=NONE, outcome=expected.value) == 1
    assert value(metrics, "tokens_total") == 0


def test_a_refusal_at_the_gate_is_a_refusal_of_that_model() -> None:
    metrics = Metrics()
    meter = Meter(metrics, request())
    meter.routed("m")
    meter.settle(ServeError(Code.UNAVAILABLE, "full", reason="OVERLOADED"))
    assert value(metrics, "rejected_total", reason="overloaded") == 1
    assert value(metrics, "requests_total", model="m") == 1


def test_a_fallback_that_is_full_hides_no_failure() -> None:
    metrics = Metrics()
    meter = Meter(metrics, request())
    meter.routed("fails")
    meter.queued()
    meter.admitted()
    meter.gave_up()
    meter.routed("full")
    meter.queued()
    receipt = meter.settle(ServeError(Code.UNAVAILABLE, "full", reason="OVERLOADED"))
    assert receipt.outcome is Outcome.ERROR
    assert value(metrics, "rejected_total", reason="overloaded") == 0


def test_what_was_given_up_is_no_part_of_the_receipt() -> None:
    metrics = Metrics()
    meter = admitted(metrics)
    for event in (Delta(0, "a", 3), Delta(0, "b", 4), Finish(0, FinishReason.LENGTH)):
        meter.note(event)
    meter.gave_up()
    meter.routed("next")
    begun = time.perf_counter()
    meter.note(Delta(0, "c", 2))
    receipt = meter.settle(ServeError(Code.UNAVAILABLE, "gone"))
    assert (receipt.output_tokens, receipt.reasons) == (2, ())
    assert receipt.first_s is not None
    assert meter._begun + receipt.first_s >= begun
    assert value(metrics, "tokens_total", model="m", direction="output") == 7
    assert value(metrics, "tokens_total", model="next", direction="output") == 2
    assert value(metrics, "inter_token_latency_seconds_count") == 0


def test_a_delta_without_tokens_is_no_division_by_zero() -> None:
    metrics = Metrics()
    meter = admitted(metrics)
    for tokens in (0, 0, 2):
        meter.note(Delta(0, "a", tokens))
    assert meter.settle(None).output_tokens == 2


def test_what_callers_send_adds_no_series() -> None:
    metrics = Metrics()

    def ask(model: str) -> None:
        Meter(metrics, request(model=model)).settle(ServeError(Code.NOT_FOUND, f"no {model}"))

    ask("first")
    before = len(list(samples(metrics)))
    with capture_logs():
        for number in range(10_000):
            ask(f"model-{number}")
    assert len(list(samples(metrics))) == before
    assert value(metrics, "requests_total") == 10_001


def test_no_metric_comes_with_the_time_it_was_made() -> None:
    metrics = Metrics()
    admitted(metrics).settle(None)
    assert not [name for name, _, _ in samples(metrics) if name.endswith("_created")]


def test_two_servers_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    admitted(one).settle(None)
    assert value(one, "requests_total") == 1
    assert value(other, "requests_total") == 0


class Clock:
    """Reads what it is set to, in place of ``perf_counter``."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


REFUSED = ("routed", "queued")


@pytest.mark.parametrize(
    ("came_to", "parts"),
    [
        # Each entry of came_to happens a second after the one before; settled one second later.
        ([], (1, 0, 0, 0)),
        (["routed"], (1, 1, 0, 0)),
        (["routed", "began"], (1, 0.5, 1.5, 0)),
        (["routed", "began", "delta"], (1, 0.5, 1.5, 1)),
        (["routed", "began", "delta", "delta", "usage"], (1, 0.5, 1.5, 3)),
        # An engine that tells nothing of its steps.
        (["routed", "delta"], (1, 1, 0, 1)),
        # The first model refuses after a wait, the second gives up, the third serves.
        (
            [*REFUSED, *REFUSED, "admitted", *REFUSED, "admitted", "began", "delta"],
            (1, 4.5, 4.5, 1),
        ),
    ],
)
def test_the_parts_of_the_time_follow_each_other(
    monkeypatch: pytest.MonkeyPatch, came_to: list[str], parts: tuple[float, ...]
) -> None:
    clock = Clock()
    monkeypatch.setattr("hexkey.metering.perf_counter", clock)
    meter = Meter(Metrics(), request())
    steps: dict[str, Callable[[], None]] = {
        "routed": lambda: meter.routed("m"),
        "queued": meter.queued,
        "admitted": meter.admitted,
        "began": lambda: meter.began(Began(0.5)),
        "delta": lambda: meter.note(Delta(0, "a", 1)),
        "usage": lambda: meter.note(Usage(1, 1)),
    }
    for one in came_to:
        clock.now += 1
        steps[one]()
    clock.now += 1
    receipt = meter.settle(asyncio.CancelledError())
    timing = receipt.timing
    assert (timing.route, timing.queue, timing.prefill, timing.decode) == parts
    assert sum(parts) == receipt.duration_s
    assert timing.header == ", ".join(
        f"{name};dur={1000 * part:.2f}"
        for name, part in zip(("route", "queue", "prefill", "decode"), parts, strict=True)
    )


class Book:
    """A trace that keeps the receipt it is ended with."""

    id = "f" * 32
    traceparent = "00-f-f-01"
    ended: list[Receipt]

    def __init__(self) -> None:
        self.ended = []

    def begin(self, _request: Request) -> Book:
        return self

    def end(self, receipt: Receipt) -> None:
        self.ended.append(receipt)

    def close(self) -> None: ...


def test_a_traced_request_names_its_trace_in_the_log() -> None:
    book = Book()
    metrics = Metrics()
    meter = Meter(metrics, request(), book)
    assert (meter.trace_id, meter.traceparent) == (book.id, book.traceparent)
    meter.note(Finish(0, FinishReason.LENGTH))
    with capture_logs() as logs:
        receipt = meter.settle(None)
    assert book.ended == [receipt]
    assert receipt.reasons == (FinishReason.LENGTH,)
    assert logs[0]["trace_id"] == book.id
    text, _ = metrics.answer("application/openmetrics-text; version=1.0.0")
    assert f'# {{trace_id="{book.id}"}}'.encode() in text
    with capture_logs() as logs:
        Meter(Metrics(), request()).settle(None)
    assert "trace_id" not in logs[0]
