"""Traces of a real server at a real receiver: over both wires, in and out, and not when off."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from hexkey.tracing import EXPORT_S
from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import inference_pb2_grpc as pb_grpc
from tests.e2e.conftest import Served, serve
from tests.e2e.otlp import Collector, attributes, collector
from tests.waiting import until

CONFIG = """
cost: {{currency: EUR, price_per_hour: "3600", watts: "50"}}
traces: {{endpoint: "{url}", sample: {sample}}}
models: [{{name: text, engine: fake, tasks: [autocomplete, chat], options: {{step_ms: 3}}}}]
"""
CANARY = "what-a-user-typed"
BODY = {"prefix": CANARY, "max_tokens": 5, "temperature": 0.5}
PARTS = ["route", "queue", "prefill", "decode"]
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def traceparent(number: int, *, sampled: bool = True) -> str:
    return f"00-{TRACE[:-2]}{number:02x}-{PARENT}-{int(sampled):02x}"


@dataclass
class Said:
    """What callers were told, by the number of their trace."""

    back: dict[int, str] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)


def ask_http(served: Served, said: Said) -> None:
    url = f"{served.http}/v1/autocomplete"
    answer = httpx.post(url, json=BODY, headers={"traceparent": traceparent(1)})
    said.back[1] = answer.headers["traceparent"]
    said.usage = answer.json()["usage"]
    with httpx.stream(
        "POST", url, json={**BODY, "stream": True}, headers={"traceparent": traceparent(2)}
    ) as stream:
        said.back[2] = stream.headers["traceparent"]
        stream.read()
    wrong = {**BODY, "model": "no-such-model"}
    answer = httpx.post(url, json=wrong, headers={"traceparent": traceparent(3)})
    assert answer.status_code == 404
    said.back[3] = answer.headers["traceparent"]
    httpx.post(url, json=BODY, headers={"traceparent": traceparent(4, sampled=False)})
    said.back[5] = httpx.post(url, json=BODY, headers={"traceparent": "rubbish"}).headers[
        "traceparent"
    ]


def ask_grpc(served: Served, said: Said) -> None:
    with grpc.insecure_channel(served.grpc) as channel:
        stub = pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        request = pb.AutocompleteRequest(prefix=CANARY, max_tokens=5)
        _, call = stub.Autocomplete.with_call(
            request, metadata=(("traceparent", traceparent(6)), ("tracestate", "a=1"))
        )
        said.back[6] = dict(call.trailing_metadata())["traceparent"]
        endless = pb.AutocompleteRequest(prefix=CANARY, max_tokens=4000)
        events = stub.StreamAutocomplete(endless, metadata=(("traceparent", traceparent(7)),))
        said.back[7] = dict(events.initial_metadata())["traceparent"]
        next(events)
        events.cancel()


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Collector, Said]:
    """All that was asked, and what the collector had when the server had stopped."""
    path = tmp_path_factory.mktemp("traces") / "traces.yaml"
    said = Said()
    with collector() as found:
        path.write_text(CONFIG.format(url=found.url, sample=1.0))
        with serve(path) as served:
            ask_http(served, said)
            ask_grpc(served, said)
            time.sleep(0.3)
            served.process.send_signal(signal.SIGTERM)
            assert served.process.wait(30) == 0
            trace = said.back[1].split("-")[1]
            until(lambda: any(trace in line for line in served.log), what="its line in the log")
        return found, said


def server_span(traced: tuple[Collector, Said], number: int) -> Span:
    trace = bytes.fromhex(traceparent(number).split("-")[1])
    (span,) = [span for span in traced[0].servers() if span.trace_id == trace]
    return span


@pytest.mark.parametrize("number", [1, 2, 3, 6, 7])
def test_the_callers_trace_goes_on(traced: tuple[Collector, Said], number: int) -> None:
    span, told = server_span(traced, number), traced[1].back[number]
    assert span.parent_span_id == bytes.fromhex(PARENT)
    assert told == f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01"
    assert span.trace_state == ("a=1" if number == 6 else "")


@pytest.mark.parametrize("number", [1, 2, 6, 7])
def test_a_span_has_its_parts_without_gaps(traced: tuple[Collector, Said], number: int) -> None:
    span = server_span(traced, number)
    assert span.name == "autocomplete text"
    parts = traced[0].below(span)
    assert [part.name for part in parts] == PARTS
    assert parts[0].start_time_unix_nano == span.start_time_unix_nano
    for one, following in pairwise(parts):
        assert one.end_time_unix_nano == following.start_time_unix_nano
    # The receipt is written a little after the last event.
    rest = span.end_time_unix_nano - parts[-1].end_time_unix_nano
    assert 0 <= rest < 0.1 * 1e9
    assert {part.kind for part in parts} == {Span.SPAN_KIND_INTERNAL}
    assert {part.trace_id for part in parts} == {span.trace_id}


def test_a_span_says_what_the_answer_says(traced: tuple[Collector, Said]) -> None:
    found, usage = attributes(server_span(traced, 1)), traced[1].usage
    assert found["gen_ai.operation.name"] == "text_completion"
    assert found["gen_ai.provider.name"] == "hexkey"
    assert found["gen_ai.response.model"] == "text"
    assert found["gen_ai.request.max_tokens"] == 5
    assert found["gen_ai.request.temperature"] == 0.5
    assert found["gen_ai.usage.input_tokens"] == usage["input_tokens"]
    assert found["gen_ai.usage.output_tokens"] == usage["output_tokens"] == 5
    assert found["gen_ai.response.finish_reasons"] == ["length"]
    assert found["gen_ai.usage.cost.total"] == pytest.approx(usage["cost"])
    assert found["gen_ai.usage.cost.pico"] == round(float(usage["cost_details"]["amount"]) * 10**12)
    assert found["gen_ai.usage.cost.currency"] == "EUR"
    assert found["gen_ai.usage.cost.energy_joules"] > 0
    assert found["hexkey.outcome"] == "ok"
    assert "error.type" not in found
    assert server_span(traced, 1).status.code == Status.STATUS_CODE_UNSET


def test_what_went_wrong_is_told(traced: tuple[Collector, Said]) -> None:
    refused, left = server_span(traced, 3), server_span(traced, 7)
    assert attributes(refused)["error.type"] == "not_found"
    assert [part.name for part in traced[0].below(refused)] == ["route"]
    assert attributes(left)["hexkey.outcome"] == "cancelled"
    assert attributes(left)["gen_ai.usage.cost.pico"] > 0
    # Both are the caller's doing and no fault of the server's.
    assert {span.status.code for span in (refused, left)} == {Status.STATUS_CODE_UNSET}


def test_callers_decide_and_rubbish_is_a_new_trace(traced: tuple[Collector, Said]) -> None:
    traces = {span.trace_id.hex() for span in traced[0].servers()}
    assert traceparent(4).split("-")[1] not in traces
    fresh = traced[1].back[5].split("-")[1]
    assert fresh in traces
    assert not fresh.startswith(TRACE[:-2])
    assert len(traces) == 6


def test_the_resource_is_named_and_no_text_is_in_a_trace(traced: tuple[Collector, Said]) -> None:
    assert {one["service.name"] for one in traced[0].resources} == {"hexkey"}
    assert traced[0].bodies
    assert CANARY.encode() not in b"".join(traced[0].bodies)


def test_a_collector_that_is_down_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "down.yaml"
    # Port 9 is discard: nobody listens.
    path.write_text(CONFIG.format(url="http://127.0.0.1:9", sample=1.0))
    with serve(path) as served:
        for _ in range(3):
            assert httpx.post(f"{served.http}/v1/autocomplete", json=BODY).status_code == 200
        begun = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(30) == 0
        # The exporter's own patience, twice over, and a stop; its default would be 10 s a try.
        assert time.monotonic() - begun < 2 * EXPORT_S + 5


def test_a_share_of_none_records_none(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    with collector() as found:
        path.write_text(CONFIG.format(url=found.url, sample=0.0))
        with serve(path) as served:
            url = f"{served.http}/v1/autocomplete"
            told = httpx.post(url, json=BODY).headers["traceparent"]
            httpx.post(url, json=BODY, headers={"traceparent": traceparent(1)})
            served.process.send_signal(signal.SIGTERM)
            assert served.process.wait(30) == 0
    assert int(told.split("-")[3], 16) & 1 == 0, "it says that it was recorded"
    assert [span.trace_id.hex() for span in found.servers()] == [traceparent(1).split("-")[1]]
