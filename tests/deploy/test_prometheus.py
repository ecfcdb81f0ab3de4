"""A real Prometheus scrapes a real server: the rules evaluate and every request is counted."""

from __future__ import annotations

import contextlib
import math
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.deploy.conftest import DEPLOY
from tests.deploy.queries import rules
from tests.e2e.conftest import Served, serve
from tests.e2e.otlp import collector
from tests.programs import found

FAKE = """
cost: {currency: EUR, price_per_hour: "3600", watts: "50"}
models:
  - {name: pretend, engine: fake, tasks: [autocomplete, chat, translate], pairs: [en-pt],
     options: {step_ms: 2}}
"""
BODIES: dict[str, dict[str, Any]] = {
    "/v1/autocomplete": {"prefix": "a b", "max_tokens": 8, "stream": True},
    "/v1/chat/completions": {"model": "chat", "messages": [{"role": "user", "content": "a"}]},
    "/v1/translate": {"text": "one two three", "source": "en", "target": "pt"},
}
TASKS = {"autocomplete", "chat", "translate"}
ROUNDS = 10
WAIT_S = 30.0


class Prometheus:
    """A running Prometheus, asked through its HTTP API."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, path: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self._url}/api/v1/{path}", params=parameters, timeout=WAIT_S)
        return answer.raise_for_status().json()["data"]

    def values(self, query: str, label: str = "task") -> dict[str, float]:
        series = self.ask("query", query=query)["result"]
        return {one["metric"].get(label, ""): float(one["value"][1]) for one in series}

    def tells(self, query: str, expected: Mapping[str, float], label: str = "task") -> None:
        """Fail unless a query comes to tell this.

        A scrape may come between two requests; one that takes too long, as it may on a busy
        machine, leaves nothing to be seen and the server down until the next.
        """
        until(lambda: self.values(query, label) == expected, f"{query} does not tell {expected}")

    def recorded(self, name: str) -> dict[str, float]:
        """A recorded series of every task, once its rule has made numbers of it.

        It makes none where nothing came between two scrapes, and goes by them a while longer.
        """
        found: dict[str, float] = {}

        def whole() -> bool:
            found.clear()
            found.update(self.values(name))
            return found.keys() == TASKS and not any(map(math.isnan, found.values()))

        until(whole, f"{name} was not recorded for every task")
        return found


def until(true: Callable[[], object], why: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        with contextlib.suppress(httpx.TransportError, httpx.HTTPStatusError):
            if true():
                return
        assert time.monotonic() < deadline, why
        time.sleep(0.1)


def listens(log: Path) -> str:
    """The address that Prometheus took."""
    found: list[str] = []

    def told() -> bool:
        found[:] = re.findall(r'msg="Listening on".* address=(\S+)\n', log.read_text())
        return bool(found)

    until(told, "it did not come to listen")
    return found[0]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("served") / "fake.yaml"
    with collector() as traces:
        path.write_text(f"{FAKE}traces: {{endpoint: '{traces.url}'}}\n")
        with serve(path) as served:
            yield served


@pytest.fixture(scope="module")
def prometheus(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Ours, but for the address it scrapes and how often."""
    program = found("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    for name in ("rules.yml", "alerts.yml"):
        shutil.copy(DEPLOY / "prometheus" / name, folder)
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    job = next(one for one in config["scrape_configs"] if one["job_name"] == "hexkey")
    job["static_configs"] = [{"targets": [served.http.removeprefix("http://")]}]
    config["scrape_configs"] = [job]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [program, f"--config.file={folder}/prometheus.yml"]
    command += [f"--storage.tsdb.path={folder}/data", "--web.listen-address=127.0.0.1:0"]
    command.append("--enable-feature=exemplar-storage")
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            running = Prometheus(f"http://{listens(folder / 'log')}")
            until(lambda: running.values("up", "job") == {"hexkey": 1.0}, "no scrape succeeded")
            yield running
        finally:
            process.terminate()
            process.wait(20)


def send(served: Served, rounds: int) -> None:
    with httpx.Client(base_url=served.http, timeout=60) as client:
        for _ in range(rounds):
            for path, body in BODIES.items():
                assert client.post(path, json=body).status_code == 200
            assert client.post("/v1/autocomplete", json={"prefix": ""}).status_code == 400


def test_what_is_sent_is_what_is_counted_and_every_rule_works(
    served: Served, prometheus: Prometheus
) -> None:
    # rate() sees a series from its second sample on, so the first of each kind goes before.
    send(served, 1)
    until(lambda: len(prometheus.values("hexkey_requests_total")) == 3, "the first were not seen")
    send(served, ROUNDS - 1)
    by_outcome = {"ok": 3 * ROUNDS, "invalid": ROUNDS}
    prometheus.tells("sum by (outcome) (hexkey_requests_total)", by_outcome, "outcome")
    good = 'sum by (task) (hexkey_requests_total{outcome="ok"})'
    prometheus.tells(good, dict.fromkeys(TASKS, ROUNDS))
    assert prometheus.recorded("task:hexkey_requests:rate5m").keys() == TASKS

    def evaluated() -> list[dict[str, Any]]:
        groups = prometheus.ask("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    # Each group has a turn of its own.
    until(lambda: all(one["health"] != "unknown" for one in evaluated()), "a rule had no turn")
    assert len(evaluated()) == len(rules("rules.yml")) + len(rules("alerts.yml"))
    assert {(one["name"], one["health"], one.get("lastError")) for one in evaluated()} == {
        (one["name"], "ok", None) for one in evaluated()
    }


def test_the_objectives_are_worked_out_and_nothing_is_alarmed(prometheus: Prometheus) -> None:
    prometheus.tells("task:hexkey_errors:ratio_rate5m", dict.fromkeys(TASKS, 0.0))
    burn = prometheus.recorded("task:hexkey_latency_budget_burn:5m")
    # How fast it is depends on who else uses this machine.
    assert all(0 <= value <= 100 for value in burn.values())
    duration = prometheus.recorded("task:hexkey_request_duration_seconds:p95_5m")
    assert all(value > 0 for value in duration.values())
    first = prometheus.recorded("task:hexkey_time_to_first_token_seconds:p50_5m")
    assert first["autocomplete"] < duration["autocomplete"]
    prometheus.tells('ALERTS{alertname!~"HexkeyLatency.*"}', {}, "alertname")


def test_a_point_of_a_histogram_leads_to_the_trace_of_a_request(
    served: Served, prometheus: Prometheus
) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    body = BODIES["/v1/autocomplete"]
    httpx.post(f"{served.http}/v1/autocomplete", json=body, headers=headers).raise_for_status()
    begun = time.time() - 60
    for name in ("request_duration", "time_to_first_token"):
        query = f'hexkey_{name}_seconds_bucket{{task="autocomplete"}}'

        def traces(query: str = query) -> set[str]:
            series = prometheus.ask(
                "query_exemplars", query=query, start=str(begun), end=str(begun + 600)
            )
            return {one["labels"]["trace_id"] for each in series for one in each["exemplars"]}

        until(lambda: trace in traces(), f"no exemplar of {name} has the trace")


def test_the_exposition_is_what_promtool_calls_good(served: Served) -> None:
    text = httpx.get(f"{served.http}/metrics").content
    command = [found("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, check=False, timeout=30)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def leave(served: Served) -> None:
    """A client that goes away in the middle of its answer."""
    body = {"prefix": "a b", "max_tokens": 4000, "stream": True}
    with httpx.stream("POST", f"{served.http}/v1/autocomplete", json=body, timeout=30) as answer:
        for _, _line in zip(range(20), answer.iter_lines(), strict=False):
            pass


# Kahan's sums of some ten numbers that were rounded once each.
ROUNDING = 1e-9
BALANCE = "sum(hexkey_bill_total) - sum(hexkey_cost_total) - sum(hexkey_cost_in_flight)"


def test_the_bill_is_the_sum_of_its_parts_at_every_scrape(
    served: Served, prometheus: Prometheus
) -> None:
    begun = time.monotonic()
    with ThreadPoolExecutor(12) as pool:
        work = [pool.submit(send, served, 15) for _ in range(8)]
        work += [pool.submit(leave, served) for _ in range(24)]
        for one in work:
            one.result()
    time.sleep(max(0.0, 5 - (time.monotonic() - begun)))
    scrapes = "count_over_time(hexkey_ledger_imbalance[20m])"
    until(lambda: prometheus.values(scrapes, "device")["machine"] >= 8, "too few scrapes")
    worst = "max_over_time(abs(hexkey_ledger_imbalance)[20m:250ms])"
    assert prometheus.values(worst, "device") == {"machine": 0.0}
    off = prometheus.values(f"max_over_time(abs({BALANCE})[20m:250ms])", "device")
    # A euro a second, and each cause of cost has had its share.
    total = "max_over_time(sum(hexkey_bill_total)[20m:250ms])"
    until(lambda: prometheus.values(total, "device")[""] > 5, "too small a bill")
    assert off[""] <= ROUNDING * prometheus.values(total, "device")[""]
    for label, metric, causes in (
        ("kind", "cost", {"active", "idle", "load", "unallocated"}),
        ("outcome", "task_cost", {"ok", "cancelled"}),
    ):
        query = f"sum by ({label}) (hexkey_{metric}_total) > 0"

        def seen(query: str = query, label: str = label) -> set[str]:
            return set(prometheus.values(query, label))

        until(lambda causes=causes, seen=seen: causes <= seen(), f"{query} lacks some of {causes}")  # type: ignore[misc]
