"""What tracing costs a request: off, on but not recorded, and recorded.

Settles requests one after the other without an engine, so the numbers are the front end's own.
Claim: off is not to be told apart from a meter that knows no tracing at all.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "server"))

import structlog
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hexkey.metering import Meter, Tracer
from hexkey.metrics import Metrics
from hexkey.tracing import OtlpTracer
from hexkey.types import Began, Chat, Delta, Finish, FinishReason, Message, Request, Usage

ROUNDS, REQUESTS, TOKENS = 15, 500, 64


def settle(metrics: Metrics, tracer: Tracer | None, number: int) -> None:
    payload = Chat(messages=(Message("user", "x"),))
    meter = Meter(metrics, Request(id=f"{number}", payload=payload, protocol="http"), tracer)
    meter.routed("m")
    meter.admitted()
    meter.began(Began(0.0))
    for _ in range(TOKENS):
        meter.note(Delta(0, "x", 1))
    meter.note(Finish(0, FinishReason.LENGTH))
    meter.note(Usage(10, TOKENS))
    meter.settle(None)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))
    metrics = Metrics()
    exporter = InMemorySpanExporter()
    kinds: dict[str, Tracer | None] = {
        "off": None,
        "off, again": None,
        "on, not recorded": OtlpTracer("", 0.0, exporter),
        "on, recorded": OtlpTracer("", 1.0, exporter),
    }
    best = dict.fromkeys(kinds, float("inf"))
    for _ in range(ROUNDS):
        for name, tracer in kinds.items():
            begun = time.perf_counter()
            for number in range(REQUESTS):
                settle(metrics, tracer, number)
            best[name] = min(best[name], (time.perf_counter() - begun) / REQUESTS)
            exporter.clear()
    for name, seconds in best.items():
        more = 1e6 * (seconds - best["off"])
        print(f"{name:18} {1e6 * seconds:7.1f} µs a request of {TOKENS} tokens, {more:+6.1f} µs")
    for tracer in kinds.values():
        if tracer is not None:
            tracer.close()


if __name__ == "__main__":
    main()
