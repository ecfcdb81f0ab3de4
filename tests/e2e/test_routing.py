"""Routes on a running server: a pivot over two real models, detection, fallback, explanations."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hexkey.cli import main
from hexkey.types import Task
from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import inference_pb2_grpc as pb_grpc
from tests.e2e.conftest import Served, serve

# There is no packaged pair that makes a pivot, so the second model's English goes by another name:
# what is translated, batched and paid for is real.
CONFIG = """
cost: {currency: EUR, price_per_hour: "3600"}
routing:
  policies:
    autocomplete: {policy: cheapest}
    chat: {policy: weighted, weights: {stable: 50, canary: 50}}
models:
  - {name: en-pt, engine: marian, source: "firefox:en-pt", tasks: [translate], pairs: [en-pt]}
  - {name: pt-back, engine: marian, source: "firefox:pt-en", tasks: [translate], pairs: [pt-sco]}
  - {name: stable, engine: fake, tasks: [chat], labels: {region: eu}}
  - {name: canary, engine: fake, tasks: [chat]}
  - {name: dear, engine: fake, tasks: [autocomplete], options: {step_ms: 20}}
  - {name: cheap, engine: fake, tasks: [autocomplete], options: {step_ms: 1}}
  - {name: frail, engine: fake, tasks: [chat], labels: {use: fault}, options: {step_ms: 6000}}
  - {name: sound, engine: fake, tasks: [chat], labels: {use: fault}}
  - {name: no-sv, engine: fake, tasks: [translate], pairs: [no-sv], options: {step_ms: 6000}}
  - {name: no-da, engine: fake, tasks: [translate], pairs: [no-da]}
  - {name: da-sv, engine: fake, tasks: [translate], pairs: [da-sv]}
"""
ENGLISH = ["The weather is nice today.", "Two sentences. The harbour is closed.", "12345"]
PORTUGUESE = "O tempo está bom hoje e o porto está fechado."


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("routing") / "routing.yaml"
    path.write_text(CONFIG)
    with serve(path) as served:
        assert served.http, "".join(served.out + served.log)
        yield served


@pytest.fixture(scope="module")
def stub(routed: Served) -> Iterator[pb_grpc.InferenceServiceStub]:
    with grpc.insecure_channel(routed.grpc) as channel:
        yield pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]


def post(served: Served, path: str, body: dict[str, Any], **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = httpx.post(served.http + path, json=body, headers=sent, timeout=60)
    return answer.json() | {"status": answer.status_code}


def metric(served: Served, name: str, **labels: str) -> float:
    text = httpx.get(f"{served.http}/metrics", timeout=30).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_the_banner_says_what_each_pair_resolves_to(routed: Served) -> None:
    banner = "".join(routed.out)
    assert "translate     en-pt (en-pt)" in banner
    assert "pt-back (pt-sco)" in banner
    assert "en-sco through en-pt by en-pt, pt-sco by pt-back" in banner
    assert "chat          weighted (stable 50, canary 50): stable, then canary" in banner


def test_a_pivot_is_one_request_on_two_models(
    routed: Served, stub: pb_grpc.InferenceServiceStub
) -> None:
    names = ("en-pt", "pt-back")
    before = {name: metric(routed, "hexkey_tokens_total", model=name) for name in names}
    paid = metric(routed, "hexkey_task_cost_total", task="translate", outcome="ok")
    body = {"text": ENGLISH, "source": "en", "target": "sco"}
    there = post(routed, "/v1/translate", body | {"target": "pt"})
    answer = post(routed, "/v1/translate", body)
    texts = [one["text"] for one in answer["translations"]]
    assert "weather" in texts[0]
    assert "port" in texts[1] or "harbour" in texts[1]
    assert texts[2] == "12345"
    assert answer["model"] == "pt-back"
    assert {(one["source"], one["target"]) for one in answer["translations"]} == {("en", "sco")}
    assert answer["notes"] == [
        "translated in 2 steps: en-pt by en-pt, pt-sco by pt-back",
    ]
    usage = answer["usage"]
    assert usage["input_characters"] == sum(map(len, ENGLISH))
    assert usage["input_tokens"] > there["usage"]["input_tokens"] > 0
    spent = {name: metric(routed, "hexkey_tokens_total", model=name) for name in names}
    both = sum(spent.values()) - sum(before.values())
    first = there["usage"]["input_tokens"] + there["usage"]["output_tokens"]
    assert both == first + usage["input_tokens"] + usage["output_tokens"]
    settled = metric(routed, "hexkey_task_cost_total", task="translate", outcome="ok") - paid
    assert settled == pytest.approx(usage["cost"] + there["usage"]["cost"], rel=1e-6)
    assert metric(routed, "hexkey_ledger_imbalance") == 0
    assert metric(routed, "hexkey_requests_in_flight") == 0

    request = pb.TranslateRequest(text=ENGLISH, source="en", target="sco")
    said = stub.Translate(request)
    assert [one.text for one in said.translations] == texts
    streamed = ["", "", ""]
    for event in stub.StreamTranslate(request):
        if event.HasField("delta"):
            streamed[event.delta.index] += event.delta.text
    assert streamed == texts


def test_a_pivot_keeps_the_deadline_and_frees_both_models(routed: Served) -> None:
    body = {"text": [" ".join(ENGLISH[:2] * 300)], "source": "en", "target": "sco"}
    late = post(routed, "/v1/translate", body, x_request_timeout_ms="300")
    assert late["status"] == 504
    url, asked = f"{routed.http}/v1/translate", body | {"stream": True}
    with httpx.stream("POST", url, json=asked, timeout=60) as gone:
        assert gone.status_code == 200
    until = time.monotonic() + 5
    while metric(routed, "hexkey_requests_in_flight") and time.monotonic() < until:
        time.sleep(0.02)
    assert metric(routed, "hexkey_requests_in_flight") == 0


@pytest.mark.parametrize(
    ("text", "language"), [(PORTUGUESE, "pt"), ("The harbour is closed today.", "en")]
)
def test_the_source_is_found_among_what_the_pairs_allow(
    routed: Served, stub: pb_grpc.InferenceServiceStub, text: str, language: str
) -> None:
    for source in ("", "auto"):
        body = {"text": text, "source": source, "target": "sco"}
        answer = post(routed, "/v1/translate", body)
        assert answer["detected_source"] == language
        assert answer["translations"][0]["source"] == language
    said = stub.Translate(pb.TranslateRequest(text=[text], target="sco"))
    assert said.detected_source == language
    start = next(iter(stub.StreamTranslate(pb.TranslateRequest(text=[text], target="sco"))))
    assert start.start.detected_source == language
    named = {"text": text, "source": language, "target": "sco"}
    assert "detected_source" not in post(routed, "/v1/translate", named)


def test_the_openai_sdk_says_auto_and_bounds(routed: Served) -> None:
    client = openai.OpenAI(base_url=f"{routed.http}/v1", api_key="none", max_retries=0)

    def chat(number: int, **headers: str) -> str:
        answer = client.chat.completions.create(
            model="auto",
            messages=[{"role": "user", "content": "Hello"}],
            max_tokens=2,
            extra_headers={"x-request-id": f"canary-{number}", **headers},
        )
        return answer.model

    served = [chat(number) for number in range(40)]
    assert set(served) == {"stable", "canary"}
    assert [chat(number) for number in range(40)] == served
    assert {chat(number, **{"x-hexkey-labels": "region=eu"}) for number in range(10)} == {"stable"}
    with pytest.raises(openai.NotFoundError, match="no model meets the constraints"):
        chat(0, **{"x-hexkey-labels": "region=mars"})
    with pytest.raises(openai.BadRequestError, match="x-hexkey-max-cost must be a number"):
        chat(0, **{"x-hexkey-max-cost": "cheap"})


def test_the_cheapest_is_found_by_measuring_and_bounds_hold(
    routed: Served, stub: pb_grpc.InferenceServiceStub
) -> None:
    def complete() -> str:
        body = {"prefix": "x", "max_tokens": 5}
        return str(post(routed, "/v1/autocomplete", body)["model"])

    measuring = [complete() for _ in range(6)]
    assert sorted(measuring) == ["cheap"] * 3 + ["dear"] * 3
    assert [complete() for _ in range(20)].count("cheap") >= 16
    body = {"task": "autocomplete", "prefix": "x", "max_tokens": 5}
    explained = post(routed, "/v1/route", body)
    verdicts = {one["model"]: one for one in explained["verdicts"]}
    cheap, dear = verdicts["cheap"]["expected"], verdicts["dear"]["expected"]
    assert 0 < cheap["cost"] < dear["cost"]
    assert 0 < cheap["latency_ms"] < dear["latency_ms"]
    assert verdicts["en-pt"] | {"reason": ""} == verdicts["en-pt"] | {"kept": False, "reason": ""}
    bound = (cheap["cost"] + dear["cost"]) / 2
    cost = {"max_cost": f"{bound:.12f}"}
    asked = post(routed, "/v1/route", body | {"constraints": cost})
    assert [leg["model"] for one in asked["routes"] for leg in one["legs"]] == ["cheap"]
    said = stub.ExplainRoute(
        pb.ExplainRouteRequest(
            autocomplete=pb.AutocompleteRequest(
                prefix="x", max_tokens=5, constraints=pb.Constraints(max_latency_ms=1e-3)
            )
        )
    )
    assert said.model == ""
    assert "expected to take more than" in said.refusal
    refused = post(routed, "/v1/autocomplete", body | {"constraints": {"max_cost": 0}})
    assert (refused["status"], refused["error"]["code"]) == (404, "constraints_not_met")


def test_a_host_that_dies_before_the_first_byte_is_not_waited_for(routed: Served) -> None:
    body = {"messages": [{"role": "user", "content": "Hello"}], "model": "auto", "max_tokens": 3}
    answer = _bereft(routed, "frail", "/v1/chat/completions", body, x_hexkey_labels="use=fault")
    assert answer["status"] == 200
    assert answer["model"] == "sound"
    assert metric(routed, "hexkey_fallbacks_total", model="frail", reason="unavailable") == 1


def test_where_a_direct_model_dies_two_others_lead_around_it(routed: Served) -> None:
    body = {"text": "hei", "source": "no", "target": "sv"}
    answer = _bereft(routed, "no-sv", "/v1/translate", body)
    assert (answer["status"], answer["model"]) == (200, "da-sv")
    assert answer["translations"] == [{"text": "HEI", "source": "no", "target": "sv"}]
    assert "translated in 2 steps: no-da by no-da, da-sv by da-sv" in answer["notes"]
    assert metric(routed, "hexkey_fallbacks_total", model="no-sv") == 1


def _bereft(served: Served, model: str, path: str, body: dict[str, Any], **headers: str) -> Any:
    """Return the answer to a request whose model's host is killed before its first output."""
    host = served.host_of(model).pid
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(post(served, path, body, **headers)))
    asking.start()
    until = time.monotonic() + 10
    while not metric(served, "hexkey_requests_in_flight", model=model):
        assert time.monotonic() < until, answers
        time.sleep(0.02)
    os.kill(host, signal.SIGKILL)
    asking.join(30)
    return answers[0]


def test_the_command_shows_every_model_and_why(
    routed: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    server = ["--server", routed.http]
    assert main(["route", "translate", PORTUGUESE, "--target", "sco", *server]) == 0
    out = capsys.readouterr().out
    assert "source language found: pt" in out
    assert "1. pt-sco by pt-back (only)" in out
    assert "does not do translate" in out
    assert main(["route", "translate", "x", "--source", "en", "--target", "sco", *server]) == 0
    assert "1. en-pt by en-pt, then pt-sco by pt-back" in capsys.readouterr().out
    assert main(["route", "chat", "--label", "region=mars", *server]) == 1
    assert "it has no label region" in capsys.readouterr().out
    assert main(["route", "chat", "--json", *server]) == 0
    assert capsys.readouterr().out.startswith("{")


@pytest.mark.parametrize("task", [*Task])
def test_the_command_takes_every_task(
    routed: Served, capsys: pytest.CaptureFixture[str], task: Task
) -> None:
    status = main(["route", task, "--target", "pt", "--server", routed.http])
    first = capsys.readouterr().out.splitlines()[0]
    served = {Task.CHAT, Task.AUTOCOMPLETE, Task.TRANSLATE}
    assert status == (0 if task in served else 1)
    assert task in served or first.startswith(f"no model does {task}; the tasks served are: ")
