"""The machine's clock is set back and on while a real server works: only what is told by it moves.

libfaketime stands between every process of the server and the kernel. It leaves the monotonic
clock alone, as whoever sets a clock does.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import DAY_S, Clock, Served, serve
from tests.e2e.test_keys import bearer, key
from tests.waiting import until

CONFIG = """
cost: {{price_per_hour: "3.6"}}
usage: {{folder: {folder}}}
access:
  keys: "on"
  tenants:
    - {{name: few, requests_per_minute: 2}}
    - {{name: poor, budget_per_day: "0.000000001"}}
models:
  - {{name: slow, engine: fake, tasks: [autocomplete], options: {{step_ms: 20}}}}
"""
HOUR_S = 3_600


@pytest.fixture
def served(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    clock(0)
    monkeypatch.setenv("HEXKEY_STATE", str(tmp_path / "state"))
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG.format(folder=tmp_path / "usage"))
    with serve(path) as one:
        yield one


def test_a_clock_that_jumps_ends_nothing_and_grants_nothing(served: Served, clock: Clock) -> None:
    few, poor, ops = key("few"), key("poor"), key("ops", "metrics")
    anyone = key("acme")

    def ask(tenant: str, tokens: int = 2, **headers: str) -> httpx.Response:
        body = {"prefix": "x", "max_tokens": tokens}
        url = f"{served.http}/v1/autocomplete"
        return httpx.post(url, json=body, headers=bearer(tenant) | headers, timeout=60)

    def metric(series: str) -> float:
        lines = httpx.get(f"{served.http}/metrics", headers=bearer(ops)).text.splitlines()
        return sum(float(one.split()[-1]) for one in lines if one.startswith(f"hexkey_{series}"))

    until(lambda: ask(anyone).is_success, what="the new keys")
    host = served.host_of("slow")

    # Requests, and a deadline, under way while the clock goes on by hours and back by days.
    begun = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        whole = pool.submit(ask, anyone, 200, **{"x-request-timeout-ms": "50000"})
        late = pool.submit(ask, anyone, 5000, **{"x-request-timeout-ms": "4000"})
        until(lambda: metric("requests_in_flight") == 2)
        for to_s in (3 * HOUR_S, -30 * DAY_S, -HOUR_S):
            clock(to_s)
            time.sleep(0.2)
        assert late.result().status_code == 504
        assert whole.result().json()["usage"]["output_tokens"] == 200
    assert 4 <= time.monotonic() - begun < 30

    # A rate has its own clock: neither way does a jump fill a bucket.
    assert [ask(few).status_code for _ in range(3)] == [200, 200, 429]
    for to_s in (3 * HOUR_S, 40 * DAY_S, -2 * DAY_S):
        clock(to_s)
        refused = ask(few)
        assert refused.json()["error"]["code"] == "requests_exhausted"
        assert 0 < int(refused.headers["retry-after"]) <= 30

    # A budget has the calendar's: a new day renews it once, and no day that comes again.
    clock(0)
    statuses = []
    for to_s in (0, DAY_S, 0, -5 * DAY_S, DAY_S):
        clock(to_s)
        statuses.append([ask(poor).status_code for _ in range(2)])
    assert statuses == [[200, 429], [200, 429], [429, 429], [429, 429], [429, 429]]

    clock(0)
    time.sleep(1.5)
    assert served.host_of("slow") == host, "no watchdog took a jump for a hang"
    assert metric("engine_restarts_total") == 0
    assert metric("unallocated") >= 0
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(20) == 0
    lines = [json.loads(line) for line in served.log if '"event":"request"' in line]
    assert len(lines) > 15
    for line in lines:
        for name in ("duration_ms", "first_ms", "queued_ms", "device_ms"):
            assert 0 <= (line.get(name) or 0) < 30_000, line
