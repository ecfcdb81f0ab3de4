"""A model whose process dies at each start is tried ever more rarely, and no other notices."""

from __future__ import annotations

import math
import os
import signal
import time
from pathlib import Path

import httpx

from hexkey.engines.backoff import PAUSES_S
from tests.e2e.conftest import Served, serve
from tests.waiting import until

CRASHES, LOAD_S = 4, 2.0  # and the first end makes five
CONFIG = f"""
models:
  - {{name: frail, engine: fake, tasks: [chat], options: {{load_ms: {LOAD_S * 1000}}}}}
  - {{name: fast, engine: fake, tasks: [autocomplete]}}
"""


def ask_s(served: Served) -> float:
    """The time that the other model takes for an answer."""
    body = {"model": "fast", "prefix": "hello", "max_tokens": 3}
    answer = httpx.post(f"{served.http}/v1/autocomplete", json=body, timeout=60)
    assert answer.status_code == 200
    return answer.elapsed.total_seconds()


def slow_s(took: list[float]) -> float:
    """The 99th percentile."""
    return sorted(took)[math.ceil(0.99 * len(took)) - 1]


def frail_host(served: Served) -> int | None:
    try:
        return int(served.host_of("frail").pid)
    except AssertionError:
        return None


def test_a_process_that_dies_at_each_start_costs_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG)
    with serve(path) as served:
        ready = f"{served.http}/ready"
        usual = [ask_s(served) for _ in range(100)]
        # It serves; this end is no failure to start.
        first = served.host_of("frail").pid
        os.kill(first, signal.SIGKILL)
        begun, killed = time.monotonic(), {first}
        during = []
        while len(killed) <= CRASHES:
            during.append(ask_s(served))
            host = frail_host(served)
            if host is not None and host not in killed:
                os.kill(host, signal.SIGKILL)
                killed.add(host)
            assert time.monotonic() - begun < 60
        assert time.monotonic() - begun >= sum(PAUSES_S[:CRASHES])
        restarts = 'engine_restarts_total{model="frail",reason='
        until(lambda: served.metric(f'{restarts}"load"}}') == CRASHES)
        assert served.metric(f'{restarts}"signal 9"}}') == 1
        # Nobody waits for what will not come soon.
        body = {"model": "frail", "messages": [{"role": "user", "content": "hello"}]}
        refused = httpx.post(f"{served.http}/v1/chat/completions", json=body, timeout=60)
        assert refused.status_code == 503
        assert "retry-after" in refused.headers
        assert refused.elapsed.total_seconds() < 0.5 * PAUSES_S[CRASHES]
        assert httpx.get(ready).status_code == 503
        until(lambda: httpx.get(ready).status_code == 200, PAUSES_S[CRASHES] + LOAD_S + 20)
        assert httpx.post(f"{served.http}/v1/chat/completions", json=body).status_code == 200
        # Before and after, since others may have come to use the machine in between.
        usual += [ask_s(served) for _ in range(100)]
        assert slow_s(during) < 3 * slow_s(usual) + 0.05, "1.5 times on a quiet machine"
