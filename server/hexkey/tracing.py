"""Requests as OpenTelemetry spans: a SERVER span ``{task} {model}`` and a child for each part.

A span's beginning costs its identity only; everything else is written when the request is settled,
from its receipt. Attributes follow the GenAI semantic conventions; none holds what was asked or
answered. The library is loaded where tracing is on, and nowhere else.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hexkey import __version__
from hexkey.metering import Outcome
from hexkey.types import Autocomplete, Chat, Summarize, Task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from hexkey.metering import Receipt
    from hexkey.types import Request

PATH = "/v1/traces"
EXPORT_S = 2.0
"""How long one export, and so a stop of the server, may wait for a collector."""
MAX_STATE = 512
_OPERATION = {Task.AUTOCOMPLETE: "text_completion", Task.EMBED: "embeddings"}
_FAULTS = {Outcome.ERROR, Outcome.DEADLINE}


class OtlpTracer:
    """Traces of one server, sent in batches by a thread of the library's own.

    ``sample`` is the share of requests recorded where the caller's ``traceparent`` does not decide.
    """

    def __init__(self, endpoint: str, sample: float, exporter: SpanExporter | None = None) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            exporter = OTLPSpanExporter(endpoint=_url(endpoint), timeout=EXPORT_S)
        name = os.environ.get("OTEL_SERVICE_NAME", "hexkey")
        self._provider = TracerProvider(
            sampler=ParentBasedTraceIdRatio(sample),
            resource=Resource.create({"service.name": name, "service.version": __version__}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self.tracer = self._provider.get_tracer("hexkey", __version__)
        self.inside = trace.set_span_in_context
        self.server = trace.SpanKind.SERVER
        self.failed = trace.StatusCode.ERROR
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, request: Request) -> RequestTrace:
        """Return the trace of a request that begins now."""
        parent = None
        if request.traceparent:
            sent = {"traceparent": request.traceparent}
            if len(request.tracestate) <= MAX_STATE:
                sent["tracestate"] = request.tracestate
            parent = self._propagator.extract(sent)
        start_ns = time.time_ns()
        span = self.tracer.start_span(
            request.task.value, parent, kind=self.server, start_time=start_ns
        )
        return RequestTrace(self, request, span, start_ns)

    def close(self) -> None:
        """Send what was recorded; blocks for ``EXPORT_S`` or little more."""
        self._provider.shutdown()


class RequestTrace:
    """One request's span. ``id`` is empty where the request is not recorded."""

    __slots__ = ("_request", "_span", "_start_ns", "_tracer", "id", "traceparent")

    def __init__(self, tracer: OtlpTracer, request: Request, span: Span, start_ns: int) -> None:
        self._tracer = tracer
        self._request = request
        self._span = span
        self._start_ns = start_ns
        context = span.get_span_context()
        self.id = f"{context.trace_id:032x}" if span.is_recording() else ""
        self.traceparent = (
            f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
        )

    def end(self, receipt: Receipt) -> None:
        """Write what the request took, and its parts as spans below it."""
        span = self._span
        if not span.is_recording():
            return
        span.update_name(f"{receipt.task.value} {receipt.model}")
        span.set_attributes(dict(_attributes(self._request, receipt)))
        if receipt.outcome in _FAULTS:
            span.set_status(self._tracer.failed, receipt.code)
        at_ns, inside = self._start_ns, self._tracer.inside(span)
        timing = receipt.timing
        for name in timing.__struct_fields__:
            seconds = getattr(timing, name)
            if seconds <= 0:  # it did not come to that
                continue
            part = self._tracer.tracer.start_span(name, inside, start_time=at_ns)
            at_ns += round(seconds * 1e9)
            part.end(at_ns)
        span.end(max(at_ns, self._start_ns + round(receipt.duration_s * 1e9)))


def _attributes(request: Request, receipt: Receipt) -> Iterator[tuple[str, AttributeValue]]:
    yield "gen_ai.operation.name", _OPERATION.get(receipt.task, receipt.task.value)
    yield "gen_ai.provider.name", "hexkey"
    yield "gen_ai.response.model", receipt.model
    yield "gen_ai.response.id", receipt.request_id
    yield "hexkey.protocol", receipt.protocol
    yield "hexkey.outcome", receipt.outcome.value
    if receipt.tenant:
        yield "hexkey.tenant", receipt.tenant
    if receipt.outcome is not Outcome.OK:
        yield "error.type", receipt.code
    yield from _asked(request)
    yield "gen_ai.usage.input_tokens", receipt.input_tokens
    yield "gen_ai.usage.output_tokens", receipt.output_tokens
    yield "gen_ai.usage.cache_read.input_tokens", receipt.cached_tokens
    if receipt.reasons:
        yield "gen_ai.response.finish_reasons", [one.value for one in receipt.reasons]
    if receipt.first_s is not None:
        yield "gen_ai.response.time_to_first_chunk", receipt.first_s
    if (spent := receipt.spent) is not None:
        yield "gen_ai.usage.cost.total", spent.money / 1e12
        yield "gen_ai.usage.cost.pico", spent.money
        yield "gen_ai.usage.cost.currency", spent.currency
        yield "gen_ai.usage.cost.device_seconds", spent.time / 1e9
        yield "gen_ai.usage.cost.energy_joules", spent.energy / 1e6


def _asked(request: Request) -> Iterator[tuple[str, AttributeValue]]:
    """Yield how tokens were to be chosen; what is left out has its default."""
    payload = request.payload
    if not isinstance(payload, Autocomplete | Chat | Summarize):
        return
    sampling = payload.sampling
    yield "gen_ai.request.max_tokens", sampling.max_tokens
    yield "gen_ai.request.temperature", sampling.temperature
    yield "gen_ai.request.top_p", sampling.top_p
    if sampling.n != 1:
        yield "gen_ai.request.choice.count", sampling.n
    if sampling.seed is not None:
        yield "gen_ai.request.seed", sampling.seed


def _url(endpoint: str) -> str:
    """Return where to send: a collector is named by its address, and may be by its whole URL."""
    return endpoint if urlsplit(endpoint).path.strip("/") else endpoint.rstrip("/") + PATH
