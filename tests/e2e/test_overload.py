"""Ten times what a server can do, and nobody who waits for an answer before he sends the next.

What it does then is held against what it does when just as many come as it has places for,
measured right before and after; a slow machine is slow at both, and may be so from now on.
"""

from __future__ import annotations

import asyncio
import json
import math
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
from grpc_status import rpc_status

from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import inference_pb2_grpc as pb_grpc
from tests.e2e.conftest import Served, serve
from tests.waiting import until
from tests.wire.grpc.grpc_house import details_of

PLACES, WAITING, TOKENS, STEP_MS, MEASURED_S, FLOOD_S = 8, 16, 40, 20, 3.0, 4.0
MOST_PER_S = PLACES * 1000 / (TOKENS * STEP_MS)
"""No machine does more: its engine sleeps for so long."""
CONFIG = f"""
models:
  - {{name: m, engine: fake, tasks: [autocomplete], options: {{step_ms: {STEP_MS}}},
     queue: {{concurrency: {PLACES}, headroom: 0, max_requests: {WAITING}}}}}
"""
SLO_S = 20.0


@dataclass
class Caller:
    """Asks over either wire, and notes when answers came and how long refusals took."""

    client: httpx.AsyncClient
    stub: Any
    answered: list[float] = field(default_factory=list)
    waited_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    async def ask(self, number: int) -> None:
        begun = time.monotonic()
        told = await (self._over_grpc() if number % 2 else self._over_http())
        now = time.monotonic()
        if told == "ok":
            self.answered.append(now)
            self.waited_s.append(now - begun)
        elif told == "refused":
            self.refused_s.append(now - begun)
        else:
            self.other.append(told)

    async def _over_http(self) -> str:
        body = {"prefix": "x", "max_tokens": TOKENS}
        answer = await self.client.post("/v1/autocomplete", json=body)
        if answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1:
            return "refused" if answer.json()["error"]["code"] == "overloaded" else answer.text
        return "ok" if answer.status_code == 200 else answer.text

    async def _over_grpc(self) -> str:
        message = pb.AutocompleteRequest(prefix="x", max_tokens=TOKENS)
        try:
            await self.stub.Autocomplete(message, timeout=SLO_S)
        except grpc.aio.AioRpcError as error:
            told = details_of(rpc_status.from_call(error))  # type: ignore[arg-type]  # a Call, too
            early = told["ErrorInfo"].reason == "OVERLOADED" and told["RetryInfo"].retry_delay
            return "refused" if early else repr(error)
        return "ok"


async def capacity(caller: Caller) -> float:
    """Answers a second with as many callers as there are places."""
    begun = time.monotonic()

    async def again(number: int) -> None:
        while time.monotonic() - begun < MEASURED_S:
            await caller.ask(number)

    await asyncio.gather(*(again(number) for number in range(PLACES)))
    assert not caller.refused_s
    assert not caller.other
    return len(caller.answered) / (time.monotonic() - begun)


async def flood(caller: Caller, served: Served, per_s: float) -> tuple[float, float]:
    """Send at a rate whatever becomes of it; return the goodput and the longest queue seen."""
    deepest = 0.0
    begun = time.monotonic()
    sent: list[asyncio.Task[None]] = []
    while len(sent) < FLOOD_S * per_s:
        passed_s = min(time.monotonic() - begun, FLOOD_S)
        due = round(passed_s * per_s) - len(sent)
        sent += [asyncio.create_task(caller.ask(len(sent) + one)) for one in range(due)]
        waiting = 'queue_requests{model="m",priority="normal"}'
        deepest = max(deepest, await asyncio.to_thread(served.metric, waiting))
        await asyncio.sleep(0.02)
    await asyncio.gather(*sent)
    # To the last answer, since until then all places are taken.
    return len(caller.answered) / (max(caller.answered) - begun), deepest


def refusals_s(served: Served) -> list[float]:
    """How long the server took over each refusal, as its log tells."""
    lines = [json.loads(line) for line in served.log]
    return [one["duration_ms"] / 1000 for one in lines if one.get("outcome") == "rejected"]


async def test_a_flood_is_refused_early_and_the_rest_is_served_as_ever(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG)
    with serve(path) as served:
        headers = {"x-request-timeout-ms": str(round(SLO_S * 1000))}
        bounds = httpx.Limits(max_connections=None)
        async with (
            httpx.AsyncClient(
                base_url=served.http, headers=headers, timeout=60, limits=bounds
            ) as client,
            grpc.aio.insecure_channel(served.grpc) as channel,
        ):
            stub = pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
            usual = await capacity(Caller(client, stub))
            caller = Caller(client, stub)
            goodput, deepest = await flood(caller, served, 10 * MOST_PER_S)
            usual = min(usual, await capacity(Caller(client, stub)))
        assert caller.other == [], "answered in time, or refused with a word on when to come"
        most = PLACES + WAITING + MOST_PER_S * len(caller.answered) / goodput
        assert len(caller.answered) <= most, "and none is let in for whom there is no place"
        assert len(caller.refused_s) > 2 * len(caller.answered), "5 times on a quiet machine"
        assert goodput > 0.75 * usual, "0.9 on a quiet machine"
        least_s = min(caller.waited_s)
        # Callers that wait for the processor are a measure of the quick ones only.
        quick_s, *_ = statistics.quantiles(caller.refused_s)
        assert quick_s < 0.5 * least_s, "10 ms on a quiet machine"
        until(lambda: len(refusals_s(served)) == len(caller.refused_s), what="all refusals' lines")
        slowest_s = sorted(refusals_s(served))[math.ceil(0.99 * len(caller.refused_s)) - 1]
        assert slowest_s < 0.5 * least_s, "a millisecond on a quiet machine"
        assert 0 < deepest <= WAITING
        assert max(caller.waited_s) < 2 * (PLACES + WAITING) / usual + 2, "a full queue's time"
        assert served.metric('requests_in_flight{model="m"}') == 0
