"""What only a real engine has to tell."""

from __future__ import annotations

import threading
import time

import httpx

from tests.e2e.conftest import Served

NAME = 'hexkey_engine_kv_usage_ratio{model="smollm2-135m-instruct"}'


def held(served: Served) -> float:
    lines = httpx.get(f"{served.http}/metrics").text.splitlines()
    found = [one for one in lines if one.startswith("hexkey_engine_kv_usage_ratio{")]
    assert [one.rpartition(" ")[0] for one in found] in ([], [NAME])
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def test_requests_hold_the_kv_cache_for_as_long_as_they_run(quickstart: Served) -> None:
    def ask() -> None:
        body = {
            "prefix": "Once upon a time there was " * 40,
            "max_tokens": 200,
            "stop_rule": "none",
        }
        httpx.post(f"{quickstart.http}/v1/autocomplete", json=body, timeout=60)

    asking = threading.Thread(target=ask)
    asking.start()
    most = 0.0
    while asking.is_alive():
        most = max(most, held(quickstart))
        time.sleep(0.02)
    assert 0 < most < 1
    deadline = time.monotonic() + 10
    while held(quickstart) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert held(quickstart) == 0
