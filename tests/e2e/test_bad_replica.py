"""One engine of three that fails half of its requests, while they come whatever becomes of them.

Every answer is a stream that breaks off after two tokens, when it is too late to go elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx

from hexkey.circuit import COST, LIMIT
from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import inference_pb2_grpc as pb_grpc
from tests.e2e.conftest import Served, serve

PER_S, LASTS_S, SETTLES_S, TOKENS = 20, 20.0, 5.0, 5
BAD = "options: {step_ms: 10, failing: 0.5}"
GOOD = "options: {step_ms: 10}"
CONFIG = f"""
routing:
  policies:
    chat: {{policy: weighted, weights: {{each-1: 1, each-2: 1, each-3: 1}}}}
models:
  - {{name: first-1, engine: fake, tasks: [autocomplete], {BAD}}}
  - {{name: first-2, engine: fake, tasks: [autocomplete], {GOOD}}}
  - {{name: first-3, engine: fake, tasks: [autocomplete], {GOOD}}}
  - {{name: each-1, engine: fake, tasks: [chat], {GOOD}}}
  - {{name: each-2, engine: fake, tasks: [chat], {BAD}}}
  - {{name: each-3, engine: fake, tasks: [chat], {GOOD}}}
  - {{name: all-1, engine: fake, tasks: [summarize], {BAD}}}
  - {{name: all-2, engine: fake, tasks: [summarize], {BAD}}}
  - {{name: all-3, engine: fake, tasks: [summarize], {BAD}}}
  - {{name: well-1, engine: fake, tasks: [translate], pairs: [en-pt], {GOOD}}}
  - {{name: well-2, engine: fake, tasks: [translate], pairs: [en-pt], {GOOD}}}
"""


@dataclass
class Group:
    """What callers of three models saw: when they asked, who served, whether it was whole."""

    seen: list[tuple[float, str, bool]] = field(default_factory=list)

    def errors(self) -> float:
        """The share that failed of what was asked once the first seconds had passed."""
        late = [whole for asked_s, _, whole in self.seen if asked_s > SETTLES_S]
        assert len(late) > 0.8 * (LASTS_S - SETTLES_S) * PER_S, "they came at another rate"
        return late.count(False) / len(late)

    def served(self, model: str) -> float:
        """The share that a model was given of the same."""
        late = [name for asked_s, name, _ in self.seen if asked_s > SETTLES_S]
        return late.count(model) / len(late)


class Callers:
    """Ask for streams over both wires."""

    def __init__(self, client: httpx.AsyncClient, stub: Any) -> None:
        self._client = client
        self._stub = stub

    async def autocomplete(self) -> tuple[str, bool]:
        return await self._over_http("/v1/autocomplete", {"prefix": "x", "max_tokens": TOKENS})

    async def chat(self) -> tuple[str, bool]:
        said = {"messages": [{"role": "user", "content": "x"}], "model": "auto"}
        return await self._over_http("/v1/chat/completions", {**said, "max_tokens": TOKENS})

    async def translate(self) -> tuple[str, bool]:
        said = {"text": "a b c d e", "source": "en", "target": "pt"}
        return await self._over_http("/v1/translate", said)

    async def summarize(self) -> tuple[str, bool]:
        call = self._stub.StreamSummarize(pb.SummarizeRequest(text="x", max_tokens=TOKENS))
        model = dict(await call.initial_metadata())["x-hexkey-model"]
        with contextlib.suppress(grpc.aio.AioRpcError):
            async for _ in call:
                pass
        return model, await call.code() is grpc.StatusCode.OK

    async def _over_http(self, path: str, body: dict[str, Any]) -> tuple[str, bool]:
        asked = {**body, "stream": True}
        async with self._client.stream("POST", path, json=asked) as answer:
            assert answer.status_code == 200, await answer.aread()
            told = (await answer.aread()).decode()
        failed = '"tokens_emitted":2' in told
        assert failed != ("[DONE]" in told), told
        return answer.headers["x-hexkey-model"], not failed


async def at_a_rate(group: Group, ask: Callable[[], Awaitable[tuple[str, bool]]]) -> None:
    """Ask so often whatever becomes of it, and wait for all answers at the end."""
    begun, sent = time.monotonic(), set[asyncio.Task[None]]()

    async def one(asked_s: float) -> None:
        group.seen.append((asked_s, *await ask()))

    for number in range(math.floor(LASTS_S * PER_S)):
        await asyncio.sleep(begun + number / PER_S - time.monotonic())
        sent.add(asyncio.create_task(one(time.monotonic() - begun)))
    await asyncio.gather(*sent)


async def test_callers_hardly_see_it_and_where_all_are_bad_none_is_given_up(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG)
    with serve(path) as served:
        fail_in_a_row("well-1", served)
        async with (
            httpx.AsyncClient(base_url=served.http, timeout=60) as client,
            grpc.aio.insecure_channel(served.grpc) as channel,
        ):
            stub = pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
            callers = Callers(client, stub)
            first, each, bad, well = groups = [Group() for _ in range(4)]
            asks = callers.autocomplete, callers.chat, callers.summarize, callers.translate
            await asyncio.gather(*map(at_a_rate, groups, asks))
        for model in ("first-1", "each-2", "all-1"):
            assert served.metric(f'circuit_state{{model="{model}",state="closed"}}') == 0
        assert served.metric('circuit_state{model="well-1",state="closed"}') == 1
    assert first.errors() < 0.02
    assert each.errors() < 0.02
    assert 0 < first.served("first-1") < 0.08, "it is looked at again, and no more than that"
    assert 0 < each.served("each-2") < 0.08
    assert 0.3 < bad.errors() < 0.7
    assert all(bad.served(f"all-{number}") for number in (1, 2, 3))
    assert well.errors() == 0
    assert any(name == "well-2" for _, name, _ in well.seen)
    assert well.served("well-2") < 0.3, "one that is well again is trusted again"
    assert well.seen[-1][1] == "well-1"


WHOLE = """
models:
  - {name: bad, engine: fake, tasks: [chat, autocomplete], options: {failing: 1.0}}
  - {name: good, engine: fake, tasks: [chat, autocomplete]}
"""


def test_a_caller_who_reads_the_answer_whole_does_not_see_it_at_all(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(WHOLE)
    said = {"messages": [{"role": "user", "content": "x"}], "max_tokens": TOKENS}
    left = 'fallbacks_total{model="bad",reason="internal",task="%s"}'
    with serve(path) as served, grpc.insecure_channel(served.grpc) as channel:
        stub = pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        url = f"{served.http}/v1/chat/completions"
        kept = httpx.post(url, json={**said, "model": "good"}).json()
        texts, models = set(), set()
        for _ in range(4):
            answer = httpx.post(url, json={**said, "model": "auto", "n": 2})
            assert answer.status_code == 200, answer.text
            models.add(answer.headers["x-hexkey-model"])
            texts |= {one["message"]["content"] for one in answer.json()["choices"]}
        asked = pb.AutocompleteRequest(prefix="x", max_tokens=TOKENS)
        for _ in range(4):
            models.add(stub.Autocomplete(asked).model)
        assert models == {"good"}
        assert texts == {kept["choices"][0]["message"]["content"]}
        counts = served.metric(left % "chat"), served.metric(left % "autocomplete")
        assert sum(counts) >= LIMIT // COST


def fail_in_a_row(model: str, served: Served) -> None:
    """Have one fail until others go first, and see that an operator is told, and why."""
    asked = {"text": "x", "source": "en", "target": "pt"}
    for _ in range(LIMIT // COST):
        body = {**asked, "model": model, "text": "[[bug]]"}
        assert httpx.post(f"{served.http}/v1/translate", json=body).status_code == 500
    assert served.metric(f'circuit_state{{model="{model}",state="open"}}') == 1
    with grpc.insecure_channel(served.grpc) as channel:
        stub = pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        listed = stub.ListModels(pb.ListModelsRequest()).models
    assert [one.name for one in listed if one.failing] == [model]
    command = [sys.executable, "-m", "hexkey.cli", "models", "--server", served.http]
    rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [row.split()[0] for row in rows if "failing" in row] == [model]
    told = httpx.post(f"{served.http}/v1/route", json={**asked, "task": "translate"}).json()
    verdict = next(one for one in told["verdicts"] if one["model"] == model)
    assert verdict["ejected"]
    assert "it failed lately" in verdict["reason"]
    lines = [json.loads(line) for line in served.log]
    whys = [line["why"] for line in lines if line["event"] == "engine fails a request"]
    assert whys == ["the engine failed on this request (RuntimeError)"] * (LIMIT // COST)
