"""Every metric hexkey exports, on a registry of its own; nothing else imports prometheus_client.

Labels come from bounded sets: configured models, the task table, outcomes and the two protocols.
What a caller sends never becomes a label. Of what could still grow, requests and engines over
years of changed configurations and tenants by the thousand are counted as ``_other`` beyond a
bound; the few series a model has beside them stay until a restart.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

from hexkey.metrics.exposition import OPENMETRICS, TEXT, Exposition, wants_openmetrics
from hexkey.metrics.ledger import MAX_MODELS, MAX_TENANTS, NONE, PICO, LedgerCollector
from hexkey.metrics.queues import QueueCollector
from hexkey.metrics.states import StateCollector
from hexkey.metrics.tenants import OTHER
from hexkey.metrics.usage import UsageCollector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from enum import StrEnum

    from hexkey.errors import ServeError
    from hexkey.metrics.ledger import Books
    from hexkey.metrics.queues import Queues
    from hexkey.metrics.usage import UsageWriter

__all__ = ["MAX_MODELS", "MAX_TENANTS", "NONE", "OPENMETRICS", "OTHER", "PICO", "TEXT", "Metrics"]

# Without this every counter and histogram would carry a second series with its creation time.
disable_created_metrics()  # type: ignore[no-untyped-call]

# Lower edges for small models, thresholds that objectives use as edges (cost-ledger.md, Latency).
DURATION_S = (
    *(0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.25, 0.32, 0.5, 0.64, 1),
    *(1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
)
TTFT_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
ITL_S = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.2, 0.5, 1, 2.5),
)
STEP_S = ITL_S
BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256)

COST = (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1)
MAX_KINDS = 1024
"""Kinds of request (task, model, outcome, protocol) that have series of their own."""
MAX_ENGINES = 256

BY_REQUEST = ("task", "model", "outcome", "protocol")


class Metrics:
    """The metrics of one server. Durations are in seconds."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.circuits: Callable[[], Mapping[str, StrEnum]] = dict
        self.request_duration = self._histogram(
            "request_duration_seconds", "From decoded to settled.", BY_REQUEST, DURATION_S
        )
        self.time_to_first_token = self._histogram(
            "time_to_first_token_seconds", "From decoded to the first output.", BY_REQUEST, TTFT_S
        )
        self.inter_token_latency = self._histogram(
            "inter_token_latency_seconds", "Between two outputs, per token.", BY_REQUEST, ITL_S
        )
        self.queue = self._histogram(
            "queue_seconds", "Waiting for a turn and for the first step.", BY_REQUEST, DURATION_S
        )
        self.requests = self._counter("requests_total", "Requests settled.", BY_REQUEST)
        self.in_flight = self._gauge(
            "requests_in_flight", "Requests admitted, not settled.", ("model",)
        )
        self.tokens = self._counter(
            "tokens_total", "Tokens in and out.", ("task", "model", "direction")
        )
        self.characters = self._counter(
            "input_characters_total", "Characters of text sent in.", ("task", "model")
        )
        self.audio = self._counter(
            "input_audio_seconds_total", "Seconds of audio sent in.", ("task", "model")
        )
        self.rejected = self._counter(
            "rejected_total", "Requests refused before a model ran them.", ("task", "reason")
        )
        self.engine_running = self._gauge("engine_running", "Requests in the engine.", ("model",))
        self.engine_steps = self._histogram(
            "engine_step_seconds", "One engine step.", ("model",), STEP_S
        )
        self.engine_batch = self._histogram(
            "engine_batch_size", "Requests computed in one step.", ("model",), BATCH
        )
        self.engine_kv = self._gauge(
            "engine_kv_usage_ratio", "Share of the KV cache that requests hold.", ("model",)
        )
        self.engine_restarts = self._counter(
            "engine_restarts_total", "Restarts of an engine host.", ("model", "reason")
        )
        self.request_cost = self._histogram(
            "request_cost", "Cost of a request, in the currency.", ("task", "model"), COST
        )
        self.counterfactual = self._counter(
            "counterfactual_cost_total",
            "What a reference would have taken for the same work, in the currency.",
            ("reference", "task", "currency"),
        )
        self.config_reloads = self._counter(
            "config_reloads_total", "Changed configurations taken in, or refused.", ("result",)
        )
        self.config_generation = self._gauge(
            "config_generation", "How many configurations were served since the start.", ()
        )
        self.routed = self._counter(
            "routed_total",
            "Requests routed, by why the model was chosen.",
            ("task", "model", "reason"),
        )
        self.fallbacks = self._counter(
            "fallbacks_total",
            "Requests that left a model for another.",
            ("task", "model", "reason"),
        )
        self.currency = ""
        self._exposition = Exposition(self.registry)
        self.suggestions = self._counter(
            "suggestions_total", "Completions looked for in what was said before.", ("result",)
        )
        self.suggestion_entries = self._gauge(
            "suggestion_cache_entries", "Suggestions that are remembered.", ()
        )
        self.suggestion_bytes = self._gauge(
            "suggestion_cache_bytes", "Memory that they take, about.", ()
        )
        self._of_request: dict[tuple[str, str, str, str], RequestSeries] = {}
        self._of_engine: dict[str, EngineSeries] = {}
        self.build = self._gauge("build_info", "Always 1.", ("version",))
        self.log_lines_dropped = self._gauge(
            "log_lines_dropped", "Log lines given up because nobody read the log.", ()
        )

    def of_request(self, task: str, model: str, outcome: str, protocol: str) -> RequestSeries:
        """Return the series of one kind of request; looked up once, since ``labels`` is slow."""
        key = (task, model, outcome, protocol)
        series = self._of_request.get(key)
        if series is None:
            if len(self._of_request) >= MAX_KINDS:
                key = (task, OTHER, outcome, protocol)
            series = self._of_request.setdefault(key, RequestSeries(self, key))
        return series

    def of_engine(self, model: str) -> EngineSeries:
        """Return the series of one model's engine."""
        series = self._of_engine.get(model)
        if series is None:
            model = model if len(self._of_engine) < MAX_ENGINES else OTHER
            series = self._of_engine.setdefault(model, EngineSeries(self, model))
        return series

    def refuse(self, error: ServeError) -> None:
        """Count a refusal of whoever came before it was known what for."""
        self.rejected.labels(NONE, error.reason.lower()).inc()

    def watch(self, books: Books) -> None:
        """Export what the devices' ledgers say, read anew at each scrape."""
        self.currency = books.currency
        self.registry.register(LedgerCollector(books))

    def watch_queues(self, queues: Queues) -> None:
        """Export what waits, read anew at each scrape."""
        self.registry.register(QueueCollector(queues))

    def watch_states(self, states: Callable[[], Mapping[str, StrEnum]]) -> None:
        """Export which state each model is in, read anew at each scrape."""
        text = "1 for the state a model is in, else 0."
        self.registry.register(StateCollector("hexkey_model_state", text, states))

    def watch_circuits(self, states: Callable[[], Mapping[str, StrEnum]]) -> None:
        """Export the state of each model's circuit, read anew at each scrape."""
        self.circuits = states
        text = "1 for the state of a model's circuit, else 0."
        self.registry.register(StateCollector("hexkey_circuit_state", text, states))

    def watch_usage(self, writer: UsageWriter) -> None:
        """Export how the usage ledger on disk does, read anew at each scrape."""
        self.registry.register(UsageCollector(writer))

    def render(self) -> bytes:
        """Return the exposition in Prometheus' text format."""
        return self._exposition.render()

    def answer(self, accept: str) -> tuple[bytes, str]:
        """Return the exposition in the format that an ``Accept`` header asks for, and its type."""
        if wants_openmetrics(accept):
            return self._exposition.render(openmetrics=True), OPENMETRICS
        return self.render(), TEXT

    def _histogram(
        self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]
    ) -> Histogram:
        return Histogram(f"hexkey_{name}", text, labels, buckets=buckets, registry=self.registry)

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"hexkey_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...]) -> Gauge:
        return Gauge(f"hexkey_{name}", text, labels, registry=self.registry)


class RequestSeries:
    """The series that requests of one task, model, outcome and protocol write to.

    Each is made when it is first written to, so that what never happens has no series.
    """

    def __init__(self, metrics: Metrics, labels: tuple[str, str, str, str]) -> None:
        self._metrics = metrics
        self._labels = labels

    @cached_property
    def requests(self) -> Counter:
        """Requests settled."""
        return self._metrics.requests.labels(*self._labels)

    @cached_property
    def duration(self) -> Histogram:
        """Seconds from decoded to settled."""
        return self._metrics.request_duration.labels(*self._labels)

    @cached_property
    def queue(self) -> Histogram:
        """Seconds of waiting: for a turn, and from submitted to the first step."""
        return self._metrics.queue.labels(*self._labels)

    @cached_property
    def time_to_first_token(self) -> Histogram:
        """Seconds from decoded to the first output."""
        return self._metrics.time_to_first_token.labels(*self._labels)

    @cached_property
    def inter_token_latency(self) -> Histogram:
        """Seconds between outputs, per token."""
        return self._metrics.inter_token_latency.labels(*self._labels)

    @cached_property
    def cost(self) -> Histogram:
        """Cost of a request, in the currency."""
        return self._metrics.request_cost.labels(*self._labels[:2])

    @cached_property
    def input_tokens(self) -> Counter:
        """Tokens in."""
        return self._metrics.tokens.labels(*self._labels[:2], "input")

    @cached_property
    def output_tokens(self) -> Counter:
        """Tokens out."""
        return self._metrics.tokens.labels(*self._labels[:2], "output")

    @cached_property
    def input_characters(self) -> Counter:
        """Characters in."""
        return self._metrics.characters.labels(*self._labels[:2])

    @cached_property
    def audio_seconds(self) -> Counter:
        """Seconds of audio in."""
        return self._metrics.audio.labels(*self._labels[:2])


class EngineSeries:
    """The series that one model's engine writes to at every step."""

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._metrics = metrics
        self._model = model
        self.running = metrics.engine_running.labels(model)
        self.steps = metrics.engine_steps.labels(model)
        self.batch = metrics.engine_batch.labels(model)
        self.in_flight = metrics.in_flight.labels(model)

    @cached_property
    def kv(self) -> Gauge:
        """Share of the KV cache that requests hold; only engines that have one write to it."""
        return self._metrics.engine_kv.labels(self._model)

    def hold(self, used: float | None, running: int) -> None:
        """A step told its share of the KV cache, or nothing; without requests nobody holds any."""
        if used is not None or (not running and "kv" in self.__dict__):
            self.kv.set(used if used and running else 0.0)
