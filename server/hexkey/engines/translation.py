"""The engine of every sentence translator: documents in, sentences batched, text out in order.

The translator behind it knows only batches of token rows; here live the requests.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from hexkey.engines.base import StepReport
from hexkey.engines.batcher import Batcher
from hexkey.errors import Code, invalid
from hexkey.text.document import DocumentPlan
from hexkey.text.typography import Knows, knows_all
from hexkey.text.veil import VeiledDocument
from hexkey.types import (
    Delta,
    Failure,
    Finish,
    FinishReason,
    Format,
    HostEvent,
    ModelInfo,
    Payload,
    Translate,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


Token = TypeVar("Token")
"""What a translator's rows are made of: ids or strings."""

AHEAD = 8
"""Sentences of one request that wait at a time, so that a book does not keep out a word."""


class Outcome(NamedTuple):
    """One translated row: its text and the tokens generated for it."""

    text: str
    tokens: int


class BatchLimits(NamedTuple):
    """The largest batch: rows, and tokens with padding counted."""

    rows: int = 8
    padded_tokens: int = 2048


class Translator(Protocol[Token]):
    """A model that translates rows of tokens, each row the same in any company."""

    def knows(self, text: str) -> bool:
        """Tell whether the model has tokens for all of a text."""

    def encode(self, sentence: str, payload: Translate) -> list[Token]:
        """Return a sentence as the model's tokens."""

    def translate(
        self, rows: Sequence[list[Token]], payloads: Sequence[Translate]
    ) -> list[Outcome]:
        """Translate one batch to the end; ``payloads`` tell each row's language pair."""


@dataclass(slots=True, eq=False)
class _Sentence(Generic[Token]):
    request_id: int
    index: int
    sentence_id: int
    tokens: list[Token]

    @property
    def length(self) -> int:
        return len(self.tokens)


@dataclass(slots=True)
class _Document:
    plan: DocumentPlan
    tokens: int = 0
    finished: bool = False


@dataclass(slots=True)
class _Work:
    """A request: ``cut`` is the first text not cut to its end, ``told`` the first not finished."""

    payload: Translate
    documents: list[_Document]
    queued: int = 0
    cut: int = 0
    told: int = 0
    usage: Usage = field(default_factory=Usage)


def plan(text: str, payload: Translate, knows: Knows = knows_all) -> DocumentPlan:
    """Return the way of one text: what is in it to translate, and what stays as it is."""
    if payload.format is Format.TEXT and not payload.glossary:
        return DocumentPlan(text, payload.source, payload.target, knows=knows)
    form, terms = payload.format, payload.glossary
    return VeiledDocument(text, payload.source, form, terms, target=payload.target, knows=knows)


class TranslationEngine(Generic[Token]):
    """Drives one translator for many requests at once."""

    def __init__(self, translator: Translator[Token], info: ModelInfo, limits: BatchLimits) -> None:
        self.info = info
        self._translator = translator
        self._batcher: Batcher[_Sentence[Token]] = Batcher(limits.rows, limits.padded_tokens)
        self._works: dict[int, _Work] = {}
        self._fresh: list[int] = []

    @property
    def running(self) -> int:
        """Requests in work."""
        return len(self._works)

    def add(self, request_id: int, payload: Payload) -> None:
        """Cut the request's texts into sentences and queue the first of them."""
        if not isinstance(payload, Translate):
            raise invalid("this model translates only")
        documents = [
            _Document(plan(text, payload, self._translator.knows)) for text in payload.texts
        ]
        work = _Work(payload, documents)
        work.usage.input_characters = sum(map(len, payload.texts))
        self._works[request_id] = work
        try:
            self._queue_more(request_id, work)
        except BaseException:
            self.cancel(request_id)
            raise
        if not work.queued:
            # Nothing in it is to be translated; its answer is its text, at the next step.
            self._fresh.append(request_id)

    def cancel(self, request_id: int) -> None:
        """Forget a request and its waiting sentences."""
        if self._works.pop(request_id, None) is not None:
            self._batcher.drop(lambda sentence: sentence.request_id == request_id)

    def step(self) -> StepReport:
        """Translate one batch of sentences."""
        report = StepReport(time.monotonic_ns(), 0)
        touched: dict[int, list[HostEvent]] = {one: [] for one in self._fresh}
        self._fresh.clear()
        batch = self._batcher.take()
        computed: defaultdict[int, int] = defaultdict(int)
        for sentence, outcome in zip(batch, self._translate(batch), strict=True):
            events = touched.setdefault(sentence.request_id, [])
            work = self._works.get(sentence.request_id)
            if work is None:
                continue
            if outcome is None or not self._take_in(work, sentence, outcome):
                self.cancel(sentence.request_id)
                events.append(Failure(Code.INTERNAL, "the model failed on a sentence of this text"))
                continue
            computed[sentence.request_id] += sentence.length + outcome.tokens
        report.done_ns = time.monotonic_ns()
        report.computed = [(request_id, tokens, 0) for request_id, tokens in computed.items()]
        for request_id, events in touched.items():
            if (work := self._works.get(request_id)) is not None:
                self._emit(request_id, work, events)
            if events:
                report.events.append((request_id, events))
        return report

    def close(self) -> None:
        """Forget everything."""
        self._works.clear()

    def _translate(self, batch: Sequence[_Sentence[Token]]) -> list[Outcome | None]:
        """Translate a batch; where it fails, each row by itself, so that one cannot fail others."""
        if not batch:
            return []
        payloads = [self._works[sentence.request_id].payload for sentence in batch]
        try:
            return [*self._translator.translate([one.tokens for one in batch], payloads)]
        except Exception:  # noqa: BLE001 - whatever it was, the batch-mates get their answer
            if len(batch) == 1:
                return [None]
            return [self._translate([sentence])[0] for sentence in batch]

    def _take_in(self, work: _Work, sentence: _Sentence[Token], outcome: Outcome) -> bool:
        """Put a translation in its place and queue what follows; False where that fails."""
        work.queued -= 1
        work.usage.input_tokens += sentence.length
        work.usage.output_tokens += outcome.tokens
        document = work.documents[sentence.index]
        document.tokens += outcome.tokens
        try:
            document.plan.feed(sentence.sentence_id, outcome.text)
            if sentence.index < work.cut:
                # All that this text can still have is second tries; nobody else asks for them.
                self._queue(sentence.request_id, work, sentence.index, None)
            self._queue_more(sentence.request_id, work)
        except Exception:  # noqa: BLE001 - as in _translate, it is this request's failure alone
            return False
        return True

    def _queue_more(self, request_id: int, work: _Work) -> None:
        while (room := AHEAD - work.queued) > 0 and work.cut < len(work.documents):
            if self._queue(request_id, work, work.cut, room) < room:
                work.cut += 1

    def _queue(self, request_id: int, work: _Work, index: int, at_most: int | None) -> int:
        """Queue sentences of one text; returns how many there were."""
        pending = work.documents[index].plan.pending(at_most)
        for sentence_id, text in pending:
            tokens = self._translator.encode(text, work.payload)
            self._batcher.put(_Sentence(request_id, index, sentence_id, tokens))
        work.queued += len(pending)
        return len(pending)

    def _emit(self, request_id: int, work: _Work, events: list[HostEvent]) -> None:
        for index in range(work.told, min(work.cut + 1, len(work.documents))):
            document = work.documents[index]
            if document.finished:
                continue
            if text := document.plan.take():
                events.append(Delta(index, text, document.tokens))
                document.tokens = 0
            if document.plan.done:
                document.finished = True
                events.append(Finish(index, FinishReason.STOP))
        while work.told < len(work.documents) and work.documents[work.told].finished:
            work.told += 1
        if work.told == len(work.documents):
            events.append(work.usage)
            del self._works[request_id]
