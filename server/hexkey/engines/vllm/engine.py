"""The ``vllm`` engine: vLLM schedules and computes in a process of its own, EngineCore.

``AsyncLLM`` starts that process and checks requests. Its output processor is left out: what a step
gives, for all requests together, is taken from EngineCore as it comes and becomes one report.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vllm.v1.engine import FinishReason as Ended
from vllm.v1.engine.exceptions import EngineDeadError

from hexkey.engines import sharedmemory
from hexkey.engines.base import EngineLost, StepReport
from hexkey.engines.failures import failure_of
from hexkey.engines.vllm import statistics
from hexkey.engines.vllm.jobs import STEP, Wordy
from hexkey.engines.vllm.sleeper import Sleeper
from hexkey.errors import Code, invalid
from hexkey.models.errors import ModelError
from hexkey.types import PLAIN, Failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from vllm.lora.request import LoRARequest
    from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs, EngineCoreRequest
    from vllm.v1.engine.async_llm import AsyncLLM

    from hexkey.engines.lexicon import Lexed, Question
    from hexkey.engines.vllm.jobs import Job, Kind, Part
    from hexkey.engines.vllm.statistics import Statistics
    from hexkey.types import HostEvent, ModelInfo, Payload, Terms

_SHUTDOWN_S = 1.0
_DRAIN_S = 0.05


@dataclass(slots=True)
class Ends:
    """Sequences that a step ended, and why; ``early`` are those EngineCore would go on with."""

    reasons: dict[str, Ended] = field(default_factory=dict)
    early: list[str] = field(default_factory=list)


class VllmEngine:
    """One AsyncLLM and the requests in it; see ``hexkey.engines.base.AsyncEngine``.

    ``kind`` knows what the model does; here its parts go in and what a step gives comes out.
    """

    def __init__(
        self,
        llm: AsyncLLM,
        kind: Kind,
        *,
        adapters: Mapping[str, LoRARequest],
        statistics: Statistics | None,
        sleep_after_s: float,
        exact: bool,
        workers: tuple[int, ...],
    ) -> None:
        self.workers = workers
        self._exact = exact  # whether steps come with the scheduler's account
        self._llm = llm
        self._core: Any = llm.engine_core
        self._kind = kind
        self._adapters = adapters
        self._statistics: Statistics | None = None  # nothing of the warm-up
        self._begin_with = statistics
        self._sleeper = Sleeper(llm, sleep_after_s)
        self._jobs: dict[int, Job] = {}
        self._parts: dict[str, tuple[Job, Part]] = {}
        self._cancelled: set[str] = set()  # which EngineCore may still compute on
        self._sending: set[asyncio.Task[None]] = set()
        self._done_ns = time.monotonic_ns()

    @property
    def info(self) -> ModelInfo:
        """What the model can do."""
        return self._kind.info

    @property
    def running(self) -> int:
        """Requests in work."""
        return len(self._jobs)

    async def start(self) -> None:
        """Load the adapters and warm up."""
        for name in self._adapters:
            await self.adapt(name, hold=True)
        for number, payload in enumerate(self._kind.warm_ups()):
            self.add(number, payload)
        while self.running:
            await self.step()
        self._statistics = self._begin_with
        sharedmemory.remember(os.getpgid(0))

    def add(self, request_id: int, payload: Payload) -> None:
        """Take a request on plain terms."""
        self.add_on(PLAIN, request_id, payload)

    def add_on(self, terms: Terms, request_id: int, payload: Payload) -> None:
        """Take one on terms; see ``hexkey.engines.base.Choosy``."""
        job = self._kind.job(request_id, payload, terms)
        job.adapter = terms.adapter
        self._fill(job)
        if not self._jobs:
            # What no account tells of a step's begin: that it was not before there was work.
            self._done_ns = time.monotonic_ns()
        self._jobs[request_id] = job

    async def adapt(self, adapter: str, *, hold: bool) -> None:
        """Load an adapter or drop it; see ``hexkey.engines.base.Adaptable``."""
        while not hold and any(job.adapter == adapter for job in self._jobs.values()):  # noqa: ASYNC110 - rare
            await asyncio.sleep(_DRAIN_S)
        request = self._adapters[adapter]
        try:
            await self._sleeper.wake()
            if hold:
                await self._llm.add_lora(request)
            else:
                await self._llm.remove_lora(request.lora_int_id)
        except EngineDeadError as error:
            raise EngineLost from error
        except Exception as error:
            raise ModelError(f"vLLM does not take adapter {adapter}: {error}") from error

    def cancel(self, request_id: int) -> None:
        """Abort a request's parts."""
        job = self._jobs.pop(request_id, None)
        if job is None:
            return
        names = [name for name in job.live if self._parts.pop(name, None) is not None]
        if self._exact:
            self._cancelled.update(names)
        if self._statistics is not None:
            self._statistics.drop(names)
        self._send(self._core.abort_requests_async(names))

    async def step(self) -> StepReport:
        """Wait for EngineCore's next outputs; raises ``EngineLost`` when it has ended."""
        try:
            outputs: EngineCoreOutputs = await self._core.get_output_async()
        except EngineDeadError as error:
            raise EngineLost from error
        report = StepReport(self._done_ns, int(outputs.timestamp * 1e9))
        if outputs.scheduler_stats is not None:
            report.kv_used = outputs.scheduler_stats.kv_cache_usage
        told = False
        events: dict[int, list[HostEvent]] = {}
        ends = Ends()
        for output in outputs.outputs:
            if output.request_id == STEP:
                told = True
                self._read_account(output, report)
                continue
            job, part = self._parts.get(output.request_id, (None, None))
            if job is None or part is None:
                continue
            if not told:
                report.computed.append((job.id, *part.coarse(output)))
            news = self._advance(job, part, output, ends)
            if news:
                events.setdefault(job.id, []).extend(news)
        if ends.early:
            self._send(self._core.abort_requests_async(ends.early))
        if self._statistics is not None:
            self._statistics.record(outputs, ends.reasons)
        self._done_ns = report.done_ns
        self._sleeper.worked()
        report.events = list(events.items())
        return report

    async def ping(self) -> None:
        """Wait for EngineCore's answer, given between two steps; let it sleep if it may."""
        try:
            await self._llm.is_paused()
            await self._sleeper.rest(busy=self.running > 0)
        except EngineDeadError as error:
            raise EngineLost from error

    def lex(self, question: Question) -> Lexed:
        """Answer a question about tokens; see ``hexkey.engines.base.Lexical``."""
        if not isinstance(self._kind, Wordy):
            raise invalid("this model does not tell of its tokens", "model")
        return self._kind.lex(question)

    def exposition(self) -> bytes:
        """Return vLLM's own metrics; see ``hexkey.engines.base.Exposing``."""
        return statistics.exposition()

    def close(self) -> None:
        """End vLLM's processes; what their shared memory leaves behind goes too."""
        names = sharedmemory.of_group(os.getpgid(0))
        self._llm.shutdown(timeout=_SHUTDOWN_S)
        sharedmemory.unlink(names)

    def _read_account(self, output: EngineCoreOutput, report: StepReport) -> None:
        """Take over what the scheduler told.

        A step that began before EngineCore heard that a text is complete computes a token that
        nobody asked for: it is left out. What it computes for the cancelled is theirs.
        """
        account: dict[str, Any] = output.kv_transfer_params or {}
        report.begin_ns, report.done_ns = account["begin_ns"], account["done_ns"]
        self._cancelled.intersection_update([name for name, _, _ in account["computed"]])
        report.computed = [
            (int(name.partition("-")[0]), tokens, context)
            for name, tokens, context in account["computed"]
            if name in self._parts or name in self._cancelled
        ]

    def _advance(
        self, job: Job, part: Part, output: EngineCoreOutput, ends: Ends
    ) -> list[HostEvent]:
        """Turn what a step gave one part into events."""
        name, ended = output.request_id, output.finish_reason
        if ended in {Ended.ERROR, Ended.ABORT}:
            self.cancel(job.id)
            return [Failure(Code.INTERNAL, "vLLM ended this request with an error")]
        try:
            news, complete = part.take(output)
            if not complete:
                return news
            del self._parts[name]
            job.live.discard(name)
            ends.reasons[name] = Ended.STOP if ended is None else ended
            if ended is None:
                ends.early.append(name)
            self._fill(job)
        except Exception as error:  # noqa: BLE001 - it is this request's failure alone
            self.cancel(job.id)
            return [failure_of(error)]
        if job.done:
            del self._jobs[job.id]
            news.append(job.usage())
        return news

    def _fill(self, job: Job) -> None:
        """Send as many of a job's parts as may be under way; ``ServeError`` if one cannot be."""
        made = list(job.more())
        for part, request in made:
            self._parts[request.request_id] = (job, part)
            if self._statistics is not None:
                self._statistics.add(request)
        if made:
            self._send(self._submit([request for _, request in made]))

    async def _submit(self, requests: list[EngineCoreRequest]) -> None:
        await self._sleeper.wake()
        for request in requests:
            if request.request_id in self._parts:  # else it was cancelled while we woke
                await self._core.add_request_async(request)

    def _send(self, sending: Awaitable[None]) -> None:
        """Have the loop send; messages leave in the order of these calls."""
        task = asyncio.ensure_future(_quietly(sending))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)


async def _quietly(sending: Awaitable[None]) -> None:
    # That EngineCore has ended is told by the step that waits for it.
    with contextlib.suppress(EngineDeadError):
        await sending
