"""What a scrape of many series costs the request loop: ours, and the library's renderer.

A loop passes tokens on (a short sleep and a little work, again and again) while a scrape renders in
a thread beside it, as in the server. While the thread computes it holds Python's lock, so its CPU
time is the most that the loop can lose. What the loop did lose is told too, as the time of the work
that it did not get done meanwhile, and the worst gap between two turns; on a machine that others
use as well these two are theirs rather than the scrape's.

    python benchmarks/scrape.py [--series 12000] [--rounds 30]

The target is less than 10 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable

from _harness import machine
from prometheus_client import generate_latest

from hexkey.billing import Billing
from hexkey.config import CostConfig, DeviceConfig
from hexkey.metrics import Metrics
from hexkey.types import Task

WORK = 400
MODELS, TENANTS = 30, 30
TARGET_MS = 10.0


def books() -> Billing:
    """The ledgers of two devices, with thousands of lines of what their requests cost."""
    parts = (DeviceConfig("cpu", "0.2"), DeviceConfig("gpu0", "0.8"))
    billing = Billing(CostConfig(price_per_hour="1", watts="0", devices=parts))
    for number in range(MODELS):
        name = f"model-{number}"
        billing.add(name, name, parts[number % 2].name)
        billing.serve(name, name)
        for tenant in range(TENANTS):
            for outcome in ("ok", "cancelled", "superseded"):
                billing.open(name, Task.CHAT, f"tenant-{tenant}").settle(outcome, None)
    return billing


def filled(count: int) -> Metrics:
    """Metrics with so many series as a busy server of many models and tenants has them."""
    metrics = Metrics()
    metrics.watch(books())
    number = 0
    while metrics.render().count(b"\n") < count:
        for _ in range(5):
            series = metrics.of_request("chat", f"model-{number}", "ok", "http")
            for one in (series.duration, series.queue, series.time_to_first_token):
                one.observe(number % 7 / 10)
            series.inter_token_latency.observe(0.01)
            series.cost.observe(1e-6)
            series.requests.inc()
            number += 1
    return metrics


async def turns(until: asyncio.Event) -> tuple[int, float, float]:
    """Pass tokens on until told to stop; the turns done, the seconds taken, the longest turn."""
    done, longest = 0, 0.0
    began = last = time.perf_counter()
    while not until.is_set():
        sum(range(WORK))
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, last, done = max(longest, now - last), now, done + 1
    return done, last - began, longest


async def beside(render: Callable[[], bytes]) -> tuple[float, float, float]:
    """Milliseconds: of the scrape's CPU time, of the loop's time lost, of the longest stall."""

    def timed() -> float:
        began = time.thread_time()
        render()
        return time.thread_time() - began

    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, stop.set)
    done, took, _ = await turns(stop)
    speed = done / took
    stop = asyncio.Event()
    loop = asyncio.create_task(turns(stop))
    await asyncio.sleep(0.02)
    scrape = await asyncio.to_thread(timed)
    stop.set()
    done, took, longest = await loop
    return scrape * 1e3, max(0.0, took - done / speed) * 1e3, longest * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=12_000)
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    print(machine())
    metrics = filled(args.series)
    ways: dict[str, Callable[[], bytes]] = {
        "ours": metrics.render,
        "library": lambda: generate_latest(metrics.registry),
    }
    text = metrics.render()
    print(f"{len(text.splitlines())} lines, {len(text) / 1e6:.1f} MB")
    assert len({len(render().splitlines()) for render in ways.values()}) == 1
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    for _ in range(args.rounds):
        for name, render in ways.items():
            found[name].append(asyncio.run(beside(render)))
    for name, rounds in found.items():
        scrape, lost, stall = (statistics.median(one) for one in zip(*rounds, strict=True))
        print(
            f"{name:>8}: {scrape:6.1f} ms CPU, the loop lost {lost:6.1f} ms, "
            f"longest stall {stall:5.1f} ms"
            + (f"; target {TARGET_MS} ms" if name == "ours" else "")
        )
    ratio = statistics.median(b[0] / a[0] for a, b in zip(*found.values(), strict=True))
    print(f"the library takes {ratio:.1f} times as much CPU time")


if __name__ == "__main__":
    main()
