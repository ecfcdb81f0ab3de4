"""Every cent of the machine's bill is in one place, under load, over both wires."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import inference_pb2_grpc as pb_grpc
from tests.e2e.conftest import Served, serve
from tests.waiting import until

CONFIG = """
cost: {currency: EUR, price_per_hour: "3600", watts: "50"}
models:
  - {name: text, engine: fake, tasks: [autocomplete, chat], options: {step_ms: 2}}
  - {name: en-pt, engine: marian, source: "firefox:en-pt", tasks: [translate], pairs: [en-pt]}
"""
SENTENCE = "The committee will publish its report on the harbour next week."
LONG = 2000
"""Sentences that take seconds, so that whoever leaves at the second one leaves in time."""


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("cost") / "cost.yaml"
    path.write_text(CONFIG)
    with serve(path) as served:
        assert served.http, "".join(served.out + served.log)
        yield served


def scraped(served: Served) -> dict[str, dict[str, float]]:
    """Sample name to its values, by the labels that tell them apart."""
    values: dict[str, dict[str, float]] = {}
    text = httpx.get(f"{served.http}/metrics", timeout=30).text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = ",".join(sample.labels.get(name, "") for name in ("model", "outcome", "kind"))
            # One model may do several tasks: together they are what is under its name.
            of_name = values.setdefault(sample.name, {})
            of_name[key] = of_name.get(key, 0.0) + sample.value
    return values


def in_balance(values: dict[str, dict[str, float]]) -> bool:
    bill = sum(values["hexkey_bill_total"].values())
    parts = sum(values["hexkey_cost_total"].values())
    parts += sum(values["hexkey_cost_in_flight"].values())
    imbalance = values["hexkey_ledger_imbalance"]
    return abs(bill - parts) <= 1e-9 * bill and set(imbalance.values()) == {0}


def test_an_answer_tells_its_cost_over_both_wires(priced: Served) -> None:
    body = {"text": SENTENCE, "source": "en", "target": "pt"}
    answer = httpx.post(f"{priced.http}/v1/translate", json=body, timeout=30)
    usage = answer.json()["usage"]
    details = usage["cost_details"]
    assert usage["cost"] > 0
    assert float(details["amount"]) == pytest.approx(usage["cost"])
    # A euro a second: the number is the time that the request had the machine for.
    assert details["device_seconds"] == pytest.approx(usage["cost"], rel=1e-3)
    assert details["energy_joules"] == pytest.approx(50 * usage["cost"], rel=1e-3)
    assert answer.headers["x-request-cost"] == details["amount"]
    assert answer.headers["x-request-cost-currency"] == "EUR"
    assert "x-litellm-response-cost" not in answer.headers
    with grpc.insecure_channel(priced.grpc) as channel:
        stub = pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        request = pb.TranslateRequest(text=[SENTENCE], source="en", target="pt")
        said, call = stub.Translate.with_call(request)
        trailing = dict(call.trailing_metadata())
        assert said.usage.cost.cost_pico > 0
        assert trailing["x-request-cost-pico"] == str(said.usage.cost.cost_pico)
        assert said.usage.cost.currency == "EUR"
        last = list(stub.StreamTranslate(request))[-1]
        assert last.usage.cost.cost_pico > 0


def test_the_bill_adds_up_under_load_with_clients_that_leave(  # noqa: C901 - three actors
    priced: Served,
) -> None:
    before = scraped(priced)["hexkey_task_cost_total"]
    told: list[float] = []
    done = threading.Event()
    seen: list[bool] = []

    def watch() -> None:
        while not done.is_set():
            seen.append(in_balance(scraped(priced)))
            time.sleep(0.05)

    def over_http(number: int) -> None:
        url = f"{priced.http}/v1/autocomplete"
        leave = number % 5 < 2
        # An answer too long to be complete in the socket's buffer before its reader leaves.
        body = {"prefix": "x", "max_tokens": 4000 if leave else 120, "stream": True}
        with httpx.stream("POST", url, json=body, timeout=100) as answer:
            for count, line in enumerate(answer.iter_lines()):
                if leave and count > 20:
                    return
                if '"usage"' in line:
                    told.append(float(line.split('"amount":"')[1].split('"')[0]))

    def over_grpc(number: int) -> None:
        with grpc.insecure_channel(priced.grpc) as channel:
            stub = pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
            leave = number % 5 < 2
            text = " ".join([SENTENCE] * (LONG if leave else 30))
            events = stub.StreamTranslate(
                pb.TranslateRequest(text=[text], source="en", target="pt"), timeout=100
            )
            for count, event in enumerate(events):
                if leave and count > 1:
                    events.cancel()
                    return
                if event.HasField("usage"):
                    told.append(event.usage.cost.cost_pico / 1e12)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(16) as pool:
        for future in [pool.submit((over_http, over_grpc)[i % 2], i) for i in range(48)]:
            future.result()
    until(lambda: not any(scraped(priced)["hexkey_requests_in_flight"].values()), 30, "rest")
    until(lambda: len(seen) > 5, 30, "a sixth scrape")
    done.set()
    watcher.join()
    assert all(seen), "the ledger was out of balance at some scrape"
    values = scraped(priced)
    after = values["hexkey_task_cost_total"]
    grown = {key: value - before.get(key, 0.0) for key, value in after.items()}
    ok = sum(value for key, value in grown.items() if key.split(",")[1] == "ok")
    wasted = sum(value for key, value in grown.items() if key.split(",")[1] == "cancelled")
    assert ok == pytest.approx(sum(told), rel=1e-9)
    assert wasted > 0
    active = values["hexkey_cost_total"]
    total_active = sum(value for key, value in active.items() if key.endswith(",active"))
    assert total_active == pytest.approx(sum(after.values()), rel=1e-9)


def test_an_engine_killed_in_a_step_unbalances_nothing(priced: Served) -> None:
    url = f"{priced.http}/v1/autocomplete"
    body = {"prefix": "[[exit]] x", "max_tokens": 50}
    assert httpx.post(url, json=body, timeout=30).status_code == 503
    assert in_balance(scraped(priced))
    assert httpx.post(url, json={"prefix": "x", "max_tokens": 5}, timeout=30).status_code == 200
    values = scraped(priced)
    assert in_balance(values)
    assert values["hexkey_cost_total"]["text,,overhead"] > 0


def test_on_real_engines_answers_and_waste_are_all_that_was_active(  # noqa: C901 - two wires
    quickstart: Served,
) -> None:
    """Tokens of SmolLM2 over HTTP, sentences of Firefox's models over gRPC, half of them left."""
    before = scraped(quickstart).get("hexkey_task_cost_total", {})
    told: list[int] = []

    def over_http(number: int) -> None:
        leave = number % 2 == 0
        body = {"prefix": "Once upon a time", "max_tokens": 4000 if leave else 24, "stream": True}
        body["stop_rule"] = "none"
        url = f"{quickstart.http}/v1/autocomplete"
        with httpx.stream("POST", url, json=body, timeout=100) as answer:
            for count, line in enumerate(answer.iter_lines()):
                if leave and count > 8:
                    return
                if '"usage"' in line:
                    told.append(int(line.split('"amount":"')[1].split('"')[0].replace(".", "")))

    def over_grpc(number: int) -> None:
        leave = number % 2 == 0
        with grpc.insecure_channel(quickstart.grpc) as channel:
            stub = pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
            text = " ".join([SENTENCE] * (LONG if leave else 3))
            events = stub.StreamTranslate(
                pb.TranslateRequest(text=[text], source="en", target="pt"), timeout=100
            )
            for count, event in enumerate(events):
                if leave and count > 1:
                    events.cancel()
                    return
                if event.HasField("usage"):
                    told.append(event.usage.cost.cost_pico)

    with ThreadPoolExecutor(12) as pool:
        for future in [pool.submit((over_http, over_grpc)[i % 4 < 2], i) for i in range(12)]:
            future.result()
    assert len(told) == 6
    idle = time.monotonic() + 30
    while any(value for value in scraped(quickstart)["hexkey_requests_in_flight"].values()):
        assert time.monotonic() < idle
        time.sleep(0.1)
    values = scraped(quickstart)
    assert in_balance(values)
    grown = {
        key: value - before.get(key, 0.0) for key, value in values["hexkey_task_cost_total"].items()
    }
    ok = sum(value for key, value in grown.items() if key.split(",")[1] == "ok")
    assert ok == pytest.approx(sum(told) / 1e12, rel=1e-9)
    assert sum(value for key, value in grown.items() if key.split(",")[1] == "cancelled") > 0
    active = sum(v for k, v in values["hexkey_cost_total"].items() if k.endswith(",active"))
    settled = sum(values["hexkey_task_cost_total"].values())
    assert active == pytest.approx(settled, rel=1e-9)


def test_a_price_that_a_reload_changes_holds_from_then_on(tmp_path: Path) -> None:
    def written(price: str) -> str:
        return (
            f"cost: {{currency: EUR, price_per_hour: '{price}'}}\n"
            "models: [{name: text, engine: fake, tasks: [chat]}]\n"
        )

    path = tmp_path / "price.yaml"
    path.write_text(written("3600"))
    with serve(path) as served:
        before = served.metric('bill_total{currency="EUR",device="machine"}')
        path.write_text(written("36"))
        served.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while served.metric('device_price_per_hour{device="machine"}') != 36:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        begun = time.monotonic()
        closed = served.metric('bill_total{currency="EUR",device="machine"}')
        time.sleep(0.5)
        values = scraped(served)
        took = time.monotonic() - begun
        assert in_balance(values)
        assert 0 < before < closed
        grown = sum(values["hexkey_bill_total"].values()) - closed
        assert 0.005 <= grown <= 0.01 * took
