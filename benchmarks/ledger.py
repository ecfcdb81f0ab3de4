"""What the cost ledger takes per token, with money, energy and time kept side by side.

Each round books decode steps of real shape (one token per request, contexts that grow, a refit of
the attribution every 128 steps) and, in turn, decodes the same steps' frames: what the front
end does with a step in any case, so that the ratio holds on a noisy machine.

    python benchmarks/ledger.py [--rounds 15] [--steps 512]

The target is 2 µs per token at batch 64.
"""

from __future__ import annotations

import argparse
import statistics
import time
from decimal import Decimal

from _harness import machine

from hexkey.cost.energy import static_power
from hexkey.cost.ledger import Ledger
from hexkey.cost.price import HOUR_NS, Bill, seconds
from hexkey.cost.statement import Group
from hexkey.engines.frames import PREFIX_BYTES, Step, encode, from_host
from hexkey.types import Delta

STEP_NS = 20_000_000
TARGET_US = 2.0


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
    begun = time.perf_counter()
    for step in steps:
        took = step.done_ns - step.begin_ns
        ledger.close_step("m", step.done_ns, took, step.computed, more=True)
    return time.perf_counter() - begun


def decode(frames: list[bytes]) -> float:
    begun = time.perf_counter()
    for frame in frames:
        from_host.decode(frame)
    return time.perf_counter() - begun


def fresh(batch: int) -> Ledger:
    meters = {"cost": Bill(HOUR_NS // 3, 0), "energy": static_power(Decimal(65), 0)}
    ledger = Ledger({**meters, "time": seconds(0)}, ["m"], memory=1 << 34, start_ns=0)
    for key in range(batch):
        ledger.join(ledger.open_request("m", Group("chat", "t")), key)
    ledger.open_step("m", 0)
    return ledger


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=512)
    args = parser.parse_args()
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


if __name__ == "__main__":
    main()
