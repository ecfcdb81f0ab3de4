"""The ``openvino`` engine: language models on the CPU, batched at every token.

The library's pipeline schedules: a step generates one token of every running sequence and fills the
rest of ``MAX_BATCHED_TOKENS`` with prompts, oldest first. This engine turns requests into
sequences, tokens into text, and says what each step computed.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
from openvino import Tensor
from openvino_genai import GenerationConfig, GenerationFinishReason, GenerationStatus

from hexkey.engines.base import StepReport
from hexkey.engines.failures import failure_of
from hexkey.engines.lexicon import Render
from hexkey.engines.openvino.sequence import Sequence, Work
from hexkey.engines.sequence import characters, greedy, groups, text_stream
from hexkey.errors import Code, invalid
from hexkey.types import Autocomplete, Chat, Failure, FinishReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from openvino_genai import ContinuousBatchingPipeline, GenerationHandle

    from hexkey.engines.lexicon import Lexed, Question
    from hexkey.engines.openvino.prefixes import PrefixMirror
    from hexkey.engines.openvino.vocabulary import Vocabulary
    from hexkey.engines.prompts import PromptMaker
    from hexkey.types import HostEvent, ModelInfo, Payload, Sampling

MAX_BATCHED_TOKENS = 256
MAX_CONFIGS = 64
MAX_UNREAD = 4
"""Tokens of one sequence that stay in the pipeline while others begin or end."""
Common = tuple[int, int, float, float, int]
"""What each generation has: tokens at most, at least; presence, frequency penalty; logprobs."""
_SEEDS = 1 << 63
_GOES_ON = GenerationFinishReason.NONE
_RUNNING = GenerationStatus.RUNNING


class OpenvinoEngine:
    """One pipeline and the requests in it; see ``hexkey.engines.base.Engine``.

    Outputs beyond the first start once the first has its prompt in the cache; greedy ones would all
    be equal, so they are generated once. What a step computed is worked out by the pipeline's own
    rules, since it does not tell; over a sequence it adds up to ``prompt - cached + generated -
    1`` tokens exactly (the last token is never computed on). Work that the pipeline does again
    because its cache ran full is not counted.
    """

    def __init__(
        self,
        pipeline: ContinuousBatchingPipeline,
        *,
        info: ModelInfo,
        vocabulary: Vocabulary,
        prompts: PromptMaker,
        cache: PrefixMirror,
        max_sequences: int,
    ) -> None:
        self.info = info
        self._pipeline = pipeline
        self._vocabulary = vocabulary
        self._pieces = vocabulary.pieces
        self._control = set(vocabulary.control)
        # Set by set a config costs a request 0.05 ms after a step, and most ask for the same.
        self._plain = lru_cache(maxsize=MAX_CONFIGS)(partial(_config, self._control))
        self._prompts = prompts
        self._cache = cache
        self._max_sequences = max_sequences
        self._works: dict[int, Work] = {}
        self._waiting: deque[Sequence] = deque()
        self._active: list[Sequence] = []
        self._started = 0
        self._scheduled = 0  # sequences that the last step computed
        # Whether one may be without its place in the cache, which it then gets back in steps that
        # give it no token.
        self._behind = False

    @property
    def running(self) -> int:
        """Requests in work."""
        return len(self._works)

    def add(self, request_id: int, payload: Payload) -> None:
        """Take an autocompletion or a chat."""
        if not isinstance(payload, Autocomplete | Chat):
            raise invalid("this model completes text and chats; it does not translate", "model")
        if isinstance(payload, Chat) and not self.info.chat:
            raise invalid("this model has no chat template; it completes text only", "model")
        prompt = self._prompts.make(payload)
        sampling = payload.sampling
        room = self.info.context_tokens - len(prompt)
        work = Work(
            id=request_id,
            prompt=prompt,
            tensor=Tensor(np.array([prompt], dtype=np.int64)),
            input_characters=characters(payload),
            open=sampling.n,
        )
        seed = sampling.seed
        if seed is None:
            seed = 0 if greedy(sampling) else secrets.randbelow(_SEEDS)
        first, *work.followers = [
            Sequence(
                work=work,
                indexes=group,
                config=self._config(sampling, room, seed + group[0]),
                stream=text_stream(payload),
                logprobs=sampling.logprobs,
            )
            for group in groups(sampling)
        ]
        self._works[request_id] = work
        self._waiting.append(first)

    def cancel(self, request_id: int) -> None:
        """Take a request out of the batch before the next step."""
        work = self._works.pop(request_id, None)
        if work is None:
            return
        self._waiting = deque(one for one in self._waiting if one.work is not work)
        for sequence in [one for one in self._active if one.work is work]:
            self._drop(sequence)

    def step(self) -> StepReport:
        """One token of every running sequence, and a part of the prompts that wait."""
        return self._step(skim=False)

    def skim(self, enough: Callable[[], bool]) -> list[StepReport]:
        """As ``step``, but tokens stay in the pipeline while each sequence gets one and goes on."""
        active = self._active
        joins = self._waiting and len(active) < self._max_sequences
        if joins or self._behind or not all(one.skimmable for one in active):
            return [self._step(skim=True)]
        handles = [one.handle for one in active]
        reports: list[StepReport] = []
        while True:
            # After a step all of this is out of the CPU's caches, so each line counts.
            report = self._compute()
            reports.append(report)
            if self._scheduled != len(handles) or _ended(handles):
                break
            if enough():
                self._skimmed(reports)
                return reports
        self._skimmed(reports[:-1])
        self._read(report, skim=True)
        return reports

    def _step(self, *, skim: bool) -> StepReport:
        self._start()
        report = self._compute()
        self._read(report, skim=skim)
        return report

    def _skimmed(self, reports: list[StepReport]) -> None:
        """Every active sequence got one token in each of these steps."""
        for report in reports:
            for one in self._active:
                report.computed.append((one.work.id, 1, one.skim()))

    def _compute(self) -> StepReport:
        begin_ns = time.monotonic_ns()
        self._pipeline.step()
        done_ns = time.monotonic_ns()
        metrics = self._pipeline.get_metrics()
        self._scheduled = metrics.scheduled_requests
        self._behind |= self._scheduled < len(self._active)
        return StepReport(begin_ns, done_ns, kv_used=metrics.cache_usage / 100)

    def _read(self, report: StepReport, *, skim: bool) -> None:
        """Tell what a step computed, and what became known by it and those that were skimmed.

        With ``skim`` those that got a token and go on are left unread, up to ``MAX_UNREAD``.
        """
        events: dict[int, list[HostEvent]] = {}
        skim = skim and not self._behind
        behind = False
        room = MAX_BATCHED_TOKENS - sum(1 for one in self._active if one.generated)
        for sequence in self._active.copy():
            work = sequence.work
            if work.id not in self._works:  # an equal of it ran out of memory just now
                continue
            decoding = bool(sequence.generated)
            if skim and sequence.unread < MAX_UNREAD and sequence.goes_on:
                report.computed.append((work.id, 1, sequence.skim()))
                continue
            told = sequence.unread
            output = sequence.read()
            behind |= decoding and (output is None or len(output[0]) <= told)
            computed = sequence.compute(len(output[0]) - told if output else 0, room)
            room -= 0 if decoding else computed
            if computed:
                report.computed.append((work.id, computed, sequence.processed))
            if output is not None:
                news = self._taken(sequence, *output)
            elif sequence.handle.get_status() != _RUNNING:
                self.cancel(work.id)
                news = [Failure(Code.RESOURCE_EXHAUSTED, "the KV cache is full; try again later")]
            else:
                continue
            if news:
                events.setdefault(work.id, []).extend(news)
        if not skim:
            self._behind = behind
        report.events = list(events.items())

    def lex(self, question: Question) -> Lexed:
        """Answer a question about the model's tokens."""
        if isinstance(question, Render) and not self.info.chat:
            raise invalid("this model has no chat template", "model")
        return self._vocabulary.answer(question)

    def close(self) -> None:
        """Drop every request, and have the pipeline notice."""
        for request_id in list(self._works):
            self.cancel(request_id)
        if self._pipeline.has_non_finished_requests():
            self._pipeline.step()

    def _start(self) -> None:
        """Hand sequences to the pipeline as far as it may take more."""
        while self._waiting and len(self._active) < self._max_sequences:
            sequence = self._waiting.popleft()
            work = sequence.work
            sequence.processed = self._cache.restore(work.prompt)
            if sequence.indexes[0] == 0:
                work.cached_tokens = sequence.processed
            self._started += 1
            sequence.handle = self._pipeline.add_request(
                self._started, work.tensor, sequence.config
            )
            self._active.append(sequence)

    def _taken(
        self,
        sequence: Sequence,
        ids: list[int],
        scores: list[float],
        ended: GenerationFinishReason,
    ) -> list[HostEvent]:
        """Advance a sequence; what fails there is its request's failure alone."""
        try:
            return self._advance(sequence, ids, scores, ended)
        except Exception as error:  # noqa: BLE001 - its batch-mates go on
            self.cancel(sequence.work.id)
            return [failure_of(error)]

    def _advance(
        self,
        sequence: Sequence,
        ids: list[int],
        scores: list[float],
        ended: GenerationFinishReason,
    ) -> list[HostEvent]:
        """Turn what the pipeline gave one sequence into events."""
        work = sequence.work
        first = not sequence.generated
        news = sequence.take(ids, scores, self._pieces)
        if first:
            sequence.tail = self._cache.learn(work.prompt)
            # Next in line, before the prompt can leave the cache.
            self._waiting.extendleft(reversed(work.followers))
            work.followers = []
        else:
            self._cache.forget(sequence.tail)
        if ended != _GOES_ON or sequence.stream.finished:
            self._drop(sequence)
            full = ended == GenerationFinishReason.LENGTH and not sequence.stream.finished
            news += sequence.finish(FinishReason.LENGTH if full else FinishReason.STOP)
        if not work.open:
            del self._works[work.id]
            news.append(work.usage())
        return news

    def _drop(self, sequence: Sequence) -> None:
        """Free what a sequence holds; the pipeline does so at the end of its next step."""
        if sequence.unread and (output := sequence.read()):
            sequence.generated += output[0]
        sequence.handle.cancel()
        self._active.remove(sequence)
        self._cache.learn(sequence.content)

    def _config(self, sampling: Sampling, room: int, seed: int) -> GenerationConfig:
        common = (
            min(sampling.max_tokens, room),
            min(sampling.min_tokens, room),
            sampling.presence_penalty,
            sampling.frequency_penalty,
            int(sampling.logprobs),
        )
        if greedy(sampling):
            return self._plain(common)
        config = _config(self._control, common)
        config.do_sample = True
        config.temperature = sampling.temperature
        config.top_p = sampling.top_p
        config.rng_seed = seed % _SEEDS
        if sampling.top_k:
            config.top_k = sampling.top_k
        return config


def _config(control: set[int], common: Common) -> GenerationConfig:
    """Return how to generate, the likeliest token always; the pipeline copies it."""
    config = GenerationConfig()
    config.apply_chat_template = False
    config.stop_token_ids = control
    config.max_new_tokens, config.min_new_tokens = common[:2]
    config.presence_penalty, config.frequency_penalty = common[2:4]
    config.logprobs = common[4]
    return config


def _ended(handles: list[GenerationHandle]) -> bool:
    return any(handle.get_status() != _RUNNING for handle in handles)
