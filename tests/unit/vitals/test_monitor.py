from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from hexkey.billing import Billing
from hexkey.config import CostConfig
from hexkey.engines.supervisor import HostSettings, Observer
from hexkey.metrics import Metrics
from hexkey.pool import Pool
from hexkey.routing import Candidate
from hexkey.types import Task
from hexkey.vitals.monitor import MAX_POINTS, Monitor
from hexkey.vitals.snapshot import CostView, Snapshot

SECOND = 10**9


def money(snapshot: Snapshot) -> CostView:
    assert snapshot.cost is not None
    return snapshot.cost


class Clock:
    def __init__(self) -> None:
        self.ns = 1000 * SECOND

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic_ns", clock)
    yield clock
    monkeypatch.undo()


def house(price: str = "3600") -> tuple[Metrics, Pool]:
    metrics = Metrics()
    candidate = Candidate("m", frozenset({Task.CHAT}))
    settings = HostSettings(model="m", engine="fake", folder="", options={})
    billing = Billing(CostConfig(price_per_hour=price), ["m"])
    return metrics, Pool([(candidate, settings)], metrics, Observer(), billing)


def settle(metrics: Metrics, outcome: str, count: int, seconds: float = 0.1) -> None:
    for _ in range(count):
        series = metrics.of_request("chat", "m", outcome, "http")
        series.requests.inc()
        series.duration.observe(seconds)


def test_what_is_not_known_is_null(clock: Clock) -> None:
    monitor = Monitor(*house())
    clock.ns += SECOND
    seen = monitor.look()
    assert (seen.total, seen.rate, seen.failed_share, seen.tasks) == (0, 0.0, None, [])
    assert money(seen).per_thousand is None
    assert money(seen).waste_share is None
    assert money(seen).idle_share == 1.0
    assert [(one.name, one.state, one.cost) for one in seen.models] == [("m", "stopped", 0.0)]


def test_the_first_look_is_of_all_the_time_since_the_start(clock: Clock) -> None:
    metrics, pool = house()
    monitor = Monitor(metrics, pool)
    settle(metrics, "ok", 500)
    clock.ns += 1000 * SECOND
    seen = monitor.look()
    assert seen.window_s == seen.uptime_s == 1000
    assert seen.rate == 0.5
    assert money(seen).bill == 1000
    assert money(seen).per_thousand == 2000


def test_rates_and_percentiles_forget_what_is_long_past(clock: Clock) -> None:
    metrics, pool = house()
    monitor = Monitor(metrics, pool)
    settle(metrics, "ok", 100, seconds=5.0)
    for _ in range(200):
        clock.ns += SECOND
        settle(metrics, "ok", 2, seconds=0.03)
        seen = monitor.look()
    assert seen.window_s == 60
    assert seen.rate == 2
    task = seen.tasks[0]
    assert task.outcomes == {"ok": 500}
    assert task.p99 is not None
    assert 0.02 < task.p99 < 0.04


def test_callers_own_faults_are_no_failures(clock: Clock) -> None:
    metrics, pool = house()
    monitor = Monitor(metrics, pool)
    for outcome, count in {
        "ok": 6,
        "error": 1,
        "rejected": 1,
        "invalid": 50,
        "cancelled": 9,
        "superseded": 20,
    }.items():
        settle(metrics, outcome, count)
    clock.ns += SECOND
    assert monitor.look().failed_share == 0.25


def test_shares_are_of_time_where_there_is_no_price(clock: Clock) -> None:
    monitor = Monitor(*house(price="0"))
    clock.ns += SECOND
    seen = monitor.look()
    assert (money(seen).bill, money(seen).price_per_hour) == (0, 0)
    assert money(seen).idle_share == 1.0


def test_memory_is_bounded(clock: Clock) -> None:
    monitor = Monitor(*house())
    for _ in range(MAX_POINTS + 100):
        clock.ns += SECOND
        monitor.look()
    assert len(monitor.points) == MAX_POINTS
    assert len(monitor._readings) <= 62
