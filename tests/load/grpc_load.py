"""Translations and completions over gRPC, at a rate that does not depend on the answers.

    python tests/load/grpc_load.py localhost:8081 [--task translate] [--rate 20] [--seconds 10]

Calls begin at Poisson times (open loop): a server that cannot keep up gets a longer queue and not
fewer calls, as it would from many independent clients. Completions are streamed, and their first
token is timed too. Times of calls that failed are left out; their codes are counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

import grpc

from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import inference_pb2_grpc as rpc

DEADLINE_S = 30.0
TEXTS = Path(__file__).with_name("sentences.txt").read_text().splitlines()
PERCENTILES = (50, 95, 99)


@dataclass
class Told:
    """What came of the calls: how many ended with which code, and the seconds they took."""

    codes: Counter[str] = field(default_factory=Counter)
    whole_s: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)
    tokens: int = 0
    took_s: float = 0.0

    def summary(self) -> dict[str, Any]:
        """The counts and percentiles, times in milliseconds."""
        return {
            "calls": self.codes.total(),
            "codes": dict(self.codes),
            "per_second": round(self.codes["OK"] / self.took_s, 1),
            "tokens_per_second": round(self.tokens / self.took_s, 1),
            "latency_ms": _percentiles(self.whole_s),
            "first_token_ms": _percentiles(self.first_s),
        }


def _percentiles(seconds: list[float]) -> dict[str, float]:
    if len(seconds) < 2:
        return {}
    cuts = quantiles(seconds, n=100)
    return {f"p{one}": round(1000 * cuts[one - 1], 1) for one in PERCENTILES}


async def offer(
    call: Callable[[Told], Awaitable[None]], rate: float, seconds: float, chance: random.Random
) -> Told:
    """Begin calls for so long, wait for the last, and return what came of them all."""
    told, calls = Told(), set[asyncio.Task[None]]()
    begun = time.perf_counter()
    at = chance.expovariate(rate)
    while at < seconds:
        await asyncio.sleep(max(0.0, begun + at - time.perf_counter()))
        calls.add(asyncio.create_task(_timed(call, told)))
        at += chance.expovariate(rate)
    await asyncio.gather(*calls)
    told.took_s = time.perf_counter() - begun
    return told


async def _timed(call: Callable[[Told], Awaitable[None]], told: Told) -> None:
    begun = time.perf_counter()
    try:
        await call(told)
    except grpc.aio.AioRpcError as error:
        told.codes[error.code().name] += 1
        return
    told.codes["OK"] += 1
    told.whole_s.append(time.perf_counter() - begun)


def tasks(stub: Any, chance: random.Random) -> dict[str, Callable[[Told], Awaitable[None]]]:
    """Return what can be asked for, by name."""

    async def translate(told: Told) -> None:
        asked = pb.TranslateRequest(text=[chance.choice(TEXTS)], source="en", target="pt")
        answer = await stub.Translate(asked, timeout=DEADLINE_S)
        told.tokens += answer.usage.output_tokens

    async def autocomplete(told: Told) -> None:
        begun, first = time.perf_counter(), True
        asked = pb.AutocompleteRequest(prefix=chance.choice(TEXTS), max_tokens=16)
        async for event in stub.StreamAutocomplete(asked, timeout=DEADLINE_S):
            if event.HasField("delta"):
                told.tokens += event.delta.token_count
                if first:
                    told.first_s.append(time.perf_counter() - begun)
                    first = False

    return {"translate": translate, "autocomplete": autocomplete}


async def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--task", choices=("translate", "autocomplete"), default="translate")
    parser.add_argument("--rate", type=float, default=20.0, help="calls a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    async with grpc.aio.insecure_channel(asked.address) as channel:
        stub = rpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        call = tasks(stub, chance)[asked.task]
        told = await offer(call, asked.rate, asked.seconds, chance)
    print(json.dumps(told.summary(), indent=2))


if __name__ == "__main__":
    asyncio.run(main())
