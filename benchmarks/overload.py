"""Goodput under overload: the fake engine, Poisson arrivals up to three times what it can serve.

    python benchmarks/overload.py [--seconds 10]

The engine has 8 places and takes 100 ms a request, so 80 requests/s are all it can serve. Each
request has 400 ms; one in ten is interactive. Goodput counts answers that came in time. The other
figures are the depth of the queue and the memory of the server, looked at four times a second.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from dataclasses import dataclass, field

import psutil
from _harness import machine, percentile, served
from _open_loop import ask, sums

PLACES, STEP_MS, TOKENS = 8, 5, 20
CAPACITY = PLACES / (STEP_MS * TOKENS / 1000)
DEADLINE_MS = 400
QUEUE = 64
CONFIG = f"""
log: {{level: error}}
models:
  - name: fake
    engine: fake
    tasks: [autocomplete]
    queue: {{concurrency: {PLACES}, max_requests: {QUEUE}}}
    options: {{step_ms: {STEP_MS}}}
"""
BODY = {"prefix": "x", "max_tokens": TOKENS}


@dataclass
class Phase:
    """What came of one rate of arrivals."""

    rate: float
    seconds: float
    sent: int = 0
    good: int = 0
    late: int = 0
    refused: int = 0
    urgent: list[float] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)
    deepest: float = 0.0
    rss: list[int] = field(default_factory=list)

    @property
    def goodput(self) -> float:
        """Answers in time a second."""
        return self.good / self.seconds

    def line(self) -> str:
        """What came of it, for people."""
        refusal = percentile(self.refusals, 0.99) * 1000 if self.refusals else 0
        return (
            f"{self.rate / CAPACITY:4.1f} x  goodput {self.goodput:6.1f}/s  in time "
            f"{self.good / self.sent:4.0%}  late {self.late}  refused {self.refused} "
            f"(p99 {refusal:.0f} ms)  interactive p95 {percentile(self.urgent, 0.95) * 1000:.0f} ms"
            f"  deepest queue {self.deepest:.0f}"
        )


async def one(phase: Phase, host: str, port: int, due: float, *, urgent: bool) -> None:
    """Ask; times count from when the request was due, so that a late client hides nothing."""
    headers = {"x-request-timeout-ms": str(DEADLINE_MS)}
    if urgent:
        headers["x-hexkey-priority"] = "interactive"
    answer = await ask(host, port, "/v1/autocomplete", BODY, headers)
    took = time.perf_counter() - due
    phase.sent += 1
    if answer.status == 200 and took <= DEADLINE_MS / 1000:
        phase.good += 1
    elif answer.status in {200, 504}:
        phase.late += 1
    else:
        phase.refused += 1
        phase.refusals.append(took)
    if urgent:
        phase.urgent.append(took if answer.status == 200 else float("inf"))


async def watch(phase: Phase, host: str, port: int, server: psutil.Process) -> None:
    while True:
        found = await asyncio.to_thread(sums, host, port, "hexkey_queue_requests")
        phase.deepest = max(phase.deepest, sum(found["hexkey_queue_requests"].values()))
        phase.rss.append(server.memory_info().rss)
        await asyncio.sleep(0.25)


async def run(
    rate: float, seconds: float, host: str, port: int, pid: int, *, urgent: float
) -> Phase:
    phase, dice = Phase(rate, seconds), random.Random(7)
    watcher = asyncio.create_task(watch(phase, host, port, psutil.Process(pid)))
    tasks = []
    due = time.perf_counter()
    until = due + seconds
    while due < until:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        is_urgent = dice.random() < urgent
        tasks.append(asyncio.create_task(one(phase, host, port, due, urgent=is_urgent)))
        due += dice.expovariate(rate)
    await asyncio.gather(*tasks)
    watcher.cancel()
    return phase


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    seconds = parser.parse_args().seconds
    print(machine())
    with served(CONFIG) as (host, port, _grpc, pid):
        await run(CAPACITY, 3, host, port, pid, urgent=0.1)
        alone = await run(CAPACITY / 10, seconds, host, port, pid, urgent=1.0)
        phases = [
            await run(CAPACITY * times, seconds, host, port, pid, urgent=0.1)
            for times in (0.7, 0.9, 1.0, 1.2)
        ]
        worst = await run(CAPACITY * 3, 2 * seconds, host, port, pid, urgent=0.1)
    for phase in (alone, *phases, worst):
        print(phase.line())
    best = max(phase.goodput for phase in phases)
    unloaded, loaded = (percentile(phase.urgent, 0.95) for phase in (alone, worst))
    half = len(worst.rss) // 2
    first, last = max(worst.rss[:half]), max(worst.rss[half:])
    print(f"goodput at 3 x / best goodput      {worst.goodput / best:.2f} (wanted: 0.90)")
    print(f"interactive p95 at 3 x / unloaded  {loaded / unloaded:.2f} (wanted: at most 1.5)")
    print(f"deepest queue                      {worst.deepest:.0f} of {QUEUE}")
    print(f"memory, first and second half      {first / 2**20:.1f} and {last / 2**20:.1f} MiB")


if __name__ == "__main__":
    asyncio.run(main())
