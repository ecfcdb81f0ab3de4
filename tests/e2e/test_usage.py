"""The usage ledger of a real server: killed, short of disk, and read by ``hexkey costs``."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import grpc
import httpx
import pytest

from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import inference_pb2_grpc as pb_grpc
from tests.e2e.conftest import Served, serve
from tests.unit.usage.rows import ids
from tests.waiting import until

CONFIG = """
cost: {{currency: EUR, price_per_hour: "3600", watts: "50"}}
usage: {{folder: {folder}}}
models: [{{name: text, engine: fake, tasks: [autocomplete, chat], options: {{step_ms: 1}}}}]
"""
CANARY = "the-payload-of-a-user"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "usage"


@pytest.fixture
def config(tmp_path: Path, folder: Path) -> Path:
    path = tmp_path / "usage.yaml"
    path.write_text(CONFIG.format(folder=folder))
    return path


def metric(served: Served, name: str) -> float:
    lines = httpx.get(f"{served.http}/metrics", timeout=30).text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


def ask(served: Served, times: int = 1) -> None:
    body = {"prefix": CANARY, "max_tokens": 3}
    with httpx.Client(base_url=served.http, timeout=30) as client:
        for _ in range(times):
            assert client.post("/v1/autocomplete", json=body).status_code == 200


def costs(config: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "hexkey.cli", "costs", str(config), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_was_written_outlives_kill_9(config: Path, folder: Path) -> None:
    written = 0
    for asked in (5, 10):
        with serve(config) as served:
            ask(served, asked)
            with grpc.insecure_channel(served.grpc) as channel:
                stub = pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
                events = stub.StreamAutocomplete(
                    pb.AutocompleteRequest(prefix=CANARY, max_tokens=4000)
                )
                next(events)
                next(events)
                events.cancel()
            until(lambda: metric(served, "hexkey_usage_rows_written_total") == asked + 1)  # noqa: B023
            served.process.send_signal(signal.SIGKILL)
            served.process.wait()
        written += asked + 1
        assert len(ids(folder)) == written
    lines = json.loads(costs(config, "--by", "protocol,outcome", "--format", "json"))
    found = {(line["protocol"], line["outcome"]): line["requests"] for line in lines}
    assert found == {("http", "ok"): 15, ("grpc", "cancelled"): 2}
    assert all(Decimal(line["cost"]) > 0 for line in lines)
    assert CANARY.encode() not in b"".join(path.read_bytes() for path in folder.iterdir())


def test_a_stop_leaves_the_whole_bill_in_the_ledger(config: Path) -> None:
    with serve(config) as served:
        begun = time.monotonic()
        ask(served, 5)
        took = time.monotonic() - begun
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(30) == 0
    table = costs(config, "--by", "task,model")
    assert "_idle" in table
    assert "_load" in table
    (line,) = json.loads(costs(config, "--by", "", "--format", "json"))
    assert line["requests"] == 5
    # A euro a second, from start to stop: the load and the stop are in it as well.
    assert took < float(line["cost"]) < took + 60
    assert float(line["device_seconds"]) == pytest.approx(float(line["cost"]), rel=1e-6)
    assert costs(config, "--format", "focus").startswith("AllocatedMethodDetails,")


def test_a_full_disk_stops_no_request(config: Path, folder: Path) -> None:
    with serve(config) as served:
        ask(served)
        until(lambda: metric(served, "hexkey_usage_rows_written_total") == 1)
        # No page more: with room for a few it fails and recovers in turn as the log is emptied.
        small = 4 << 10
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (small, resource.RLIM_INFINITY))
        asked = 1
        with ThreadPoolExecutor(8) as pool:
            while not metric(served, "hexkey_usage_failing"):
                assert asked < 20_000
                list(pool.map(lambda _: ask(served, 25), range(8)))
                asked += 200
        ask(served, 20)
        asked += 20
        assert metric(served, "hexkey_usage_rows_waiting") > 0
        infinite = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, infinite)
        until(lambda: metric(served, "hexkey_usage_rows_written_total") == asked)
        until(lambda: metric(served, "hexkey_usage_failing") == 0)
        assert metric(served, "hexkey_usage_rows_lost_total") == 0
    assert len(ids(folder)) >= asked


def test_without_a_ledger_there_is_nothing_to_report(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    path.write_text("models: [{name: text, engine: fake, tasks: [chat]}]\n")
    command = [sys.executable, "-m", "hexkey.cli", "costs", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage.folder" in done.stderr
