"""What the cost ledger takes per token, with money, energy and time kept side by side.

The first part books decode steps of real shape (one token per request, contexts that grow, a refit
of the attribution every 128 steps) and, in turn, decodes the same steps' frames: what the front
end does with a step in any case. Times are CPU time of this thread, so that who else uses the
machine matters less.

The second part runs whole front ends, one with its ledger and one without, in turn: 64 streams
each on a host of the fake engine whose steps take ``--step-ms``. What the engine makes per second
must be the same.

    python benchmarks/ledger.py [--rounds 15] [--steps 512] [--step-ms 10]

The targets are 2 µs per token at batch 64, and 0.98 of the tokens per second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator
from decimal import Decimal

from _harness import machine

from hexkey import logs
from hexkey.admission import Gate
from hexkey.billing import Billing
from hexkey.config import CostConfig, QueueConfig
from hexkey.cost.energy import static_power
from hexkey.cost.ledger import Ledger
from hexkey.cost.price import HOUR_NS, Bill, seconds
from hexkey.cost.statement import Group
from hexkey.engines.frames import PREFIX_BYTES, Step, encode, from_host
from hexkey.engines.supervisor import HostSettings, Observer
from hexkey.metrics import Metrics
from hexkey.pool import Pool
from hexkey.routing import Candidate
from hexkey.service import Service
from hexkey.types import Chat, Delta, Message, Request, Sampling, Task
from hexkey.validation import Limits

STEP_NS = 20_000_000
TARGET_US = 2.0
STREAMS = 64
TOKENS = 64


def made(batch: int, steps: int) -> list[Step]:
    return [
        Step(
            1,
            number * STEP_NS,
            (number + 1) * STEP_NS - number % 97,
            batch,
            [(key, 1, 200 + 3 * key + number) for key in range(batch)],
            [(key, [Delta(0, " word", 1)]) for key in range(batch)],
        )
        for number in range(steps)
    ]


def book(ledger: Ledger, steps: list[Step]) -> float:
    begun = time.thread_time()
    for step in steps:
        took = step.done_ns - step.begin_ns
        ledger.close_step("m", step.done_ns, took, step.computed, more=True)
    return time.thread_time() - begun


def decode(frames: list[bytes]) -> float:
    begun = time.thread_time()
    for frame in frames:
        from_host.decode(frame)
    return time.thread_time() - begun


def fresh(batch: int) -> Ledger:
    meters = {"cost": Bill(HOUR_NS // 3, 0), "energy": static_power(Decimal(65), 0)}
    ledger = Ledger({**meters, "time": seconds(0)}, ["m"], memory=1 << 34, start_ns=0)
    for key in range(batch):
        ledger.join(ledger.open_request("m", Group("chat", "t")), key)
    ledger.open_step("m", 0)
    return ledger


class Off(Billing):
    """A front end without a ledger: steps are not booked."""

    def on_step(self, model: str, step: Step, *, more: bool) -> None:
        """Nothing."""


@contextlib.asynccontextmanager
async def front_end(kind: type[Billing], step_ms: float) -> AsyncIterator[Service]:
    """A service of one fake model, whose host decodes a step of all requests at once."""
    candidate = Candidate("m", frozenset({Task.CHAT}))
    settings = HostSettings("m", "fake", "", {"step_ms": step_ms})
    metrics = Metrics()
    billing = kind(CostConfig(price_per_hour="1", watts="65"), ["m"])
    pool = Pool([(candidate, settings)], metrics, Observer(), billing)
    await pool.start()
    try:
        yield Service(pool, Gate({"m": QueueConfig()}), metrics, Limits())
    finally:
        await pool.stop()


async def stream(service: Service, number: int, tokens: int) -> None:
    payload = Chat(
        messages=(Message("user", "Hello"),),
        sampling=Sampling(max_tokens=tokens),
    )
    request = Request(id=str(number), payload=payload, protocol="http")
    async with service.run(request) as run:
        async for _ in run:
            pass


async def both(rounds: int, step_ms: float) -> None:
    """Print tokens per second and CPU time per token, with the ledger and without."""
    kinds = {"ledger": Billing, "off": Off}
    speeds: dict[str, list[float]] = {name: [] for name in kinds}
    cpu: dict[str, list[float]] = {name: [] for name in kinds}
    async with contextlib.AsyncExitStack() as stack:
        services = {
            name: await stack.enter_async_context(front_end(kind, step_ms))
            for name, kind in kinds.items()
        }
        for number in range(rounds + 1):
            # Who comes first profits or suffers; the first round warms up.
            for name in sorted(kinds, reverse=number % 2 == 0):
                begun, used = time.perf_counter(), time.process_time()
                async with asyncio.TaskGroup() as group:
                    for one in range(STREAMS):
                        group.create_task(stream(services[name], one, TOKENS))
                if number:
                    speeds[name].append(STREAMS * TOKENS / (time.perf_counter() - begun))
                    cpu[name].append((time.process_time() - used) / (STREAMS * TOKENS) * 1e6)
    ratio = statistics.median(a / b for a, b in zip(*speeds.values(), strict=True))
    more = statistics.median(a - b for a, b in zip(*cpu.values(), strict=True))
    print(
        f"{STREAMS} streams, steps of {step_ms:g} ms: "
        f"{statistics.median(speeds['ledger']):.0f} tokens/s with the ledger, "
        f"{statistics.median(speeds['off']):.0f} without, ratio {ratio:.3f} (target 0.98); "
        f"front end {statistics.median(cpu['off']):.2f} µs CPU a token, "
        f"{more:+.2f} µs with the ledger"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=512)
    parser.add_argument("--step-ms", type=float, default=10.0)
    args = parser.parse_args()
    logs.configure("error", json=True)
    print(machine())
    for batch in (1, 8, 64, 256):
        steps = made(batch, args.steps)
        frames = [encode(step)[PREFIX_BYTES:] for step in steps]
        ours, theirs = [], []
        for _ in range(args.rounds):
            ledger = fresh(batch)
            ours.append(book(ledger, steps))
            theirs.append(decode(frames))
            assert ledger.statement("cost", 0).imbalance == 0
        per_token = 1e6 / (batch * args.steps)
        median = statistics.median(ours) * per_token
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        print(
            f"batch {batch:>3}: {median:6.3f} µs per token, {median * batch:7.1f} µs per step "
            f"(best {min(ours) * per_token:.3f}); {ratio:.2f} of decoding the frame"
            + (f"; target {TARGET_US} µs" if batch == 64 else "")
        )
    asyncio.run(both(args.rounds, args.step_ms))


if __name__ == "__main__":
    main()
