"""The engine between the host and EngineCore, which the test plays: what must not happen there."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs
from vllm.v1.engine.async_llm import AsyncLLM

from hexkey.engines.vllm.engine import VllmEngine
from hexkey.engines.vllm.jobs import Job
from hexkey.errors import Code
from hexkey.types import Autocomplete, Delta, Failure, HostEvent, ModelInfo, Payload, Terms, Usage


class Core:
    """EngineCore: gives the outputs that the test put in."""

    def __init__(self) -> None:
        self.outputs: asyncio.Queue[EngineCoreOutputs] = asyncio.Queue()
        self.aborted: list[str] = []

    async def get_output_async(self) -> EngineCoreOutputs:
        return await self.outputs.get()

    async def add_request_async(self, _request: object) -> None:
        """Taken."""

    async def abort_requests_async(self, names: list[str]) -> None:
        self.aborted += names

    def give(self, *names: str) -> None:
        tokens = [EngineCoreOutput(name, new_token_ids=[1]) for name in names]
        self.outputs.put_nowait(EngineCoreOutputs(outputs=tokens, timestamp=time.monotonic()))


class OnePart:
    """A kind whose requests are one part each; the prefix ``odd`` breaks at its first token."""

    info = ModelInfo(context_tokens=8)

    def warm_ups(self) -> list[Payload]:
        return []

    def job(self, job_id: int, payload: Payload, _terms: Terms) -> Job:
        assert isinstance(payload, Autocomplete)
        request: Any = SimpleNamespace(request_id=f"{job_id}-0")
        return Job(job_id, iter([(Words(payload.prefix), request)]), Usage)


class Words:
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def take(self, _output: EngineCoreOutput) -> tuple[list[HostEvent], bool]:
        if self._prefix == "odd":
            raise RuntimeError("canary")
        return [Delta(0, "w", 1)], False

    def coarse(self, _output: EngineCoreOutput) -> tuple[int, int]:
        return 1, 1


def engine_on(core: Core, *, exact: bool) -> VllmEngine:
    llm = cast("AsyncLLM", SimpleNamespace(engine_core=core))
    return VllmEngine(
        llm, OnePart(), adapters={}, statistics=None, sleep_after_s=0, exact=exact, workers=()
    )


async def test_a_part_that_breaks_fails_its_request_alone() -> None:
    core = Core()
    engine = engine_on(core, exact=True)
    engine.add(1, Autocomplete(prefix="odd"))
    engine.add(2, Autocomplete(prefix="good"))
    core.give("1-0", "2-0")
    events = dict((await engine.step()).events)
    (failure,) = events[1]
    assert isinstance(failure, Failure)
    assert (failure.code, "canary" in failure.message) == (Code.INTERNAL, False)
    assert events[2] == [Delta(0, "w", 1)]
    assert engine.running == 1
    await asyncio.sleep(0)
    assert core.aborted == ["1-0"]


async def test_without_the_schedulers_account_nothing_is_kept_of_the_cancelled() -> None:
    core = Core()
    engine = engine_on(core, exact=False)
    for number in range(100):
        engine.add(number, Autocomplete(prefix="good"))
        engine.cancel(number)
    assert not engine._cancelled
    exact = engine_on(core, exact=True)
    exact.add(1, Autocomplete(prefix="good"))
    exact.cancel(1)
    assert exact._cancelled == {"1-0"}, "what it still computes is booked on it"
    await asyncio.sleep(0)


async def test_without_an_account_a_step_does_not_begin_before_its_work_came() -> None:
    """An hour without a request is no part of the next one's first step."""
    core = Core()
    engine = engine_on(core, exact=False)
    await asyncio.sleep(0.05)
    came = time.monotonic_ns()
    engine.add(1, Autocomplete(prefix="good"))
    core.give("1-0")
    first = await engine.step()
    assert came <= first.begin_ns <= first.done_ns
    engine.add(2, Autocomplete(prefix="good"))  # who joins does not move the next step's begin
    core.give("1-0", "2-0")
    assert (await engine.step()).begin_ns == first.done_ns


async def test_who_leaves_is_aborted_in_the_core() -> None:
    core = Core()
    engine = engine_on(core, exact=True)
    for number in (1, 2):
        engine.add(number, Autocomplete(prefix="good"))
    engine.cancel(1)
    engine.cancel(1)
    await asyncio.sleep(0)
    assert core.aborted == ["1-0"]
    core.give("1-0", "2-0")  # the step was under way
    assert dict((await engine.step()).events) == {2: [Delta(0, "w", 1)]}
