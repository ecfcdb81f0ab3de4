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
from hexkey.engines.sequence import Sequence, Work, characters, groups, text_stream
from hexkey.engines.vllm import statistics
from hexkey.engines.vllm.scheduler import STEP
from hexkey.engines.vllm.sleeper import Sleeper
from hexkey.errors import Code, invalid
from hexkey.models.errors import ModelError
from hexkey.types import PLAIN, Autocomplete, Chat, Failure, FinishReason, Sampling

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs, EngineCoreRequest
    from vllm.v1.engine.async_llm import AsyncLLM

    from hexkey.engines.base import Computed
    from hexkey.engines.prompts import PromptMaker
    from hexkey.engines.vllm.requests import Requests
    from hexkey.engines.vllm.statistics import Statistics
    from hexkey.engines.vllm.vocabulary import Vocabulary
    from hexkey.types import HostEvent, ModelInfo, Payload, Terms

_SHUTDOWN_S = 1.0
_WARM_UPS = (
    Sampling(max_tokens=8),
    Sampling(
        max_tokens=8,
        temperature=1.0,
        top_p=0.9,
        top_k=5,
        seed=1,
        presence_penalty=1.0,
        frequency_penalty=1.0,
        logprobs=True,
    ),
)
"""Each way of choosing tokens, since its first use may compile, and nobody should wait for that."""


@dataclass(slots=True)
class Ends:
    """Sequences that a step ended, and why; ``early`` are those EngineCore would go on with."""

    reasons: dict[str, Ended] = field(default_factory=dict)
    early: list[str] = field(default_factory=list)


class VllmEngine:
    """One AsyncLLM and the requests in it; see ``hexkey.engines.base.AsyncEngine``.

    EngineCore knows a request's sequence as ``REQUEST-OUTPUT``. Greedy outputs of one request
    would all be equal, so they are generated once.
    """

    def __init__(
        self,
        llm: AsyncLLM,
        *,
        info: ModelInfo,
        vocabulary: Vocabulary,
        prompts: PromptMaker,
        requests: Requests,
        statistics: Statistics | None,
        sleep_after_s: float,
    ) -> None:
        self.info = info
        self._llm = llm
        self._core: Any = llm.engine_core
        self._pieces = vocabulary.pieces
        self._nothing = vocabulary.nothing
        self._prompts = prompts
        self._requests = requests
        self._statistics = statistics
        self._sleeper = Sleeper(llm, sleep_after_s)
        self._works: dict[int, Work] = {}
        self._sequences: dict[str, Sequence] = {}
        self._cancelled: set[str] = set()  # which EngineCore may still compute on
        self._sending: set[asyncio.Task[None]] = set()
        self._done_ns = time.monotonic_ns()

    @property
    def running(self) -> int:
        """Requests in work."""
        return len(self._works)

    async def start(self) -> None:
        """Load the adapters and warm up ."""
        for adapter in self._requests.adapters.values():
            try:
                await self._llm.add_lora(adapter)
            except EngineDeadError as error:
                raise EngineLost from error
            except Exception as error:
                raise ModelError(f"vLLM does not take adapter {adapter.name}: {error}") from error
        prompt = (self._nothing,) * 2
        for number, sampling in enumerate(_WARM_UPS):
            self.add(number, Autocomplete(prefix="", tokens=prompt, sampling=sampling))
        while self.running:
            await self.step()
        sharedmemory.remember(os.getpgid(0))

    def add(self, request_id: int, payload: Payload) -> None:
        """Take an autocompletion or a chat."""
        self.add_on(PLAIN, request_id, payload)

    def add_on(self, terms: Terms, request_id: int, payload: Payload) -> None:
        """Take one on terms; see ``hexkey.engines.base.Choosy``."""
        if not isinstance(payload, Autocomplete | Chat):
            raise invalid("this model completes text and chats; it does not translate", "model")
        if isinstance(payload, Chat) and not self.info.chat:
            raise invalid("this model has no chat template; it completes text only", "model")
        prompt = self._prompts.make(payload)
        sampling = payload.sampling
        work = Work(request_id, prompt, characters(payload), sampling.n)
        sequences = {
            f"{request_id}-{group[0]}": Sequence(
                work, group, text_stream(payload), sampling.logprobs
            )
            for group in groups(sampling)
        }
        requests = [
            self._requests.text(name, prompt, sampling, sequence.indexes[0], terms)
            for name, sequence in sequences.items()
        ]
        if self._statistics is not None:
            for request in requests:
                self._statistics.add(request)
        self._works[request_id] = work
        self._sequences |= sequences
        self._send(self._submit(requests))

    def cancel(self, request_id: int) -> None:
        """Abort a request's sequences."""
        work = self._works.pop(request_id, None)
        if work is None:
            return
        names = [name for name, one in self._sequences.items() if one.work is work]
        for name in names:
            del self._sequences[name]
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
            sequence = self._sequences.get(output.request_id)
            if sequence is None:
                continue
            if not told:
                report.computed.append(_coarse(sequence, output))
            news = self._advance(sequence, output, ends)
            if news:
                events.setdefault(sequence.work.id, []).extend(news)
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

    def exposition(self) -> bytes:
        """VLLM's own metrics; see ``hexkey.engines.base.Exposing``."""
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
            if name in self._sequences or name in self._cancelled
        ]

    def _advance(self, sequence: Sequence, output: EngineCoreOutput, ends: Ends) -> list[HostEvent]:
        """Turn what a step gave one sequence into events."""
        work = sequence.work
        if output.prefill_stats is not None and sequence.indexes[0] == 0:
            work.cached_tokens = output.prefill_stats.num_cached_tokens
        ended = output.finish_reason
        if ended in {Ended.ERROR, Ended.ABORT}:
            self.cancel(work.id)
            return [Failure(Code.INTERNAL, "vLLM ended this request with an error")]
        told = output.new_logprobs
        scores = [row[0] for row in told.logprobs.tolist()] if told else []
        news = sequence.take(output.new_token_ids, scores, self._pieces)
        if ended is None and not sequence.stream.finished:
            return news
        del self._sequences[output.request_id]
        ends.reasons[output.request_id] = Ended.STOP if ended is None else ended
        if ended is None:
            ends.early.append(output.request_id)
        full = ended is Ended.LENGTH and not sequence.stream.finished
        news += sequence.finish(FinishReason.LENGTH if full else FinishReason.STOP)
        if not work.open:
            del self._works[work.id]
            news.append(work.usage())
        return news

    async def _submit(self, requests: list[EngineCoreRequest]) -> None:
        await self._sleeper.wake()
        for request in requests:
            if request.request_id in self._sequences:  # else it was cancelled while we woke
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


def _coarse(sequence: Sequence, output: EngineCoreOutput) -> Computed:
    """What a step computed by its output alone: a prompt's tokens count with its first token."""
    prompt, before = len(sequence.work.prompt), len(sequence.generated)
    stats = output.prefill_stats
    cached = stats.num_cached_tokens if stats is not None else 0
    tokens = len(output.new_token_ids) if before else prompt - cached
    return sequence.work.id, tokens, prompt + max(0, before + len(output.new_token_ids) - 1)
