"""The fake engine: chosen timing, chosen faults, any volume, no model.

It answers text tasks and audio with ``w0 w1 w2 …`` and translations with the text in capitals, one
sequence of ``max_tokens`` tokens per output. A text's vector and scores depend on nothing but it; a
document scores by the words of the query that it holds. A request whose text holds one of the words
below meets that fate at its third step (``FATE_STEP``), its batch-mates with it where it takes the
host down:

``[[refuse]]`` refused in ``add``; ``[[bug]]`` an unforeseen exception in ``add``; ``[[raise]]``
the step raises; ``[[exit]]`` the process ends; ``[[hang]]`` the step never returns; ``[[oom]]``
memory until the kernel or a limit says no; ``[[shout]]`` more is printed than a pipe holds. The
option ``failing`` has a share of all requests fail there, alone.
"""

from __future__ import annotations

import hashlib
import math
import os
import random
import re
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from hexkey.engines.base import StepReport
from hexkey.engines.lexicon import Detokenize, Lexed, Render, Tokenize
from hexkey.engines.options import Bounds, read_options
from hexkey.errors import Code, invalid
from hexkey.models.errors import ModelError
from hexkey.types import (
    PLAIN,
    UNBOUNDED,
    Autocomplete,
    Chat,
    Classify,
    Delta,
    Embed,
    Failure,
    Finish,
    FinishReason,
    HostEvent,
    ModelInfo,
    Payload,
    Rerank,
    Scores,
    Segment,
    Summarize,
    Terms,
    Transcribe,
    Translate,
    Usage,
    Vector,
)

if TYPE_CHECKING:
    from hexkey.engines.base import LoadContext
    from hexkey.engines.lexicon import Question

FATE_STEP = 3
CONTEXT_TOKENS = 8192
DIMENSIONS = 8
LABELS = ("short", "long")
AUDIO_WORDS = 8
_FATE = re.compile(r"\[\[(refuse|bug|raise|exit|hang|oom|shout)]]")


@dataclass(frozen=True, slots=True)
class FakeOptions:
    """How long a step, an ``add`` and the load take; ``load_error`` is what the load fails with.

    ``concurrency`` is what it says it makes use of; it computes all that it is given. ``busy`` has
    a step spend its time on the CPU instead of asleep. ``failing`` is the share of requests that
    fail at their third step, by lots that a model of this name draws again after each start.
    """

    step_ms: float = 0.0
    add_ms: float = 0.0
    load_ms: float = 0.0
    tokens_per_step: int = 1
    concurrency: int = 0
    load_error: str = ""
    busy: bool = False
    failing: float = 0.0

    BOUNDS: ClassVar[Bounds] = {
        "failing": (0, 1),
        **dict.fromkeys(("step_ms", "add_ms", "load_ms"), (0, 1 << 24)),
        "tokens_per_step": (1, 1 << 20),
        "concurrency": (0, 1 << 20),
    }


@dataclass(slots=True)
class _Work:
    outputs: list[list[str]]
    ends: list[tuple[HostEvent, ...]]
    input_tokens: int
    input_characters: int
    audio_seconds: float
    fate: str
    at: int = 0
    steps: int = 0
    done: list[bool] = field(default_factory=list)


def load(context: LoadContext) -> FakeEngine:
    """Start a fake model; see the module's text for its options."""
    options = read_options(FakeOptions, context.options, context.model)
    if options.load_error:
        raise ModelError(options.load_error)
    time.sleep(options.load_ms / 1000)
    return FakeEngine(options, context.model)


class FakeEngine:
    """Deterministic work on a chosen clock."""

    def __init__(self, options: FakeOptions, name: str = "") -> None:
        self.info = ModelInfo(
            context_tokens=CONTEXT_TOKENS,
            concurrency=options.concurrency,
            fim=True,
            chat=True,
            dimensions=DIMENSIONS,
            labels=LABELS,
        )
        self._step_s = options.step_ms / 1000
        self._wait = _spin if options.busy else time.sleep
        self._add_s = options.add_ms / 1000
        self._stride = options.tokens_per_step
        self._failing = options.failing
        self._lots = random.Random(name)  # noqa: S311 - lots, no secret
        self._works: dict[int, _Work] = {}
        self._steps = 0

    @property
    def running(self) -> int:
        """Requests in work."""
        return len(self._works)

    def add(self, request_id: int, payload: Payload) -> None:
        """Take a request, or refuse it as its text asks."""
        self.add_on(PLAIN, request_id, payload)

    def add_on(self, terms: Terms, request_id: int, payload: Payload) -> None:
        """Take one; an adapter's answer has its name for ``w``."""
        time.sleep(self._add_s)
        text = _text(payload)
        fate = match[1] if (match := _FATE.search(text)) else ""
        if self._lots.random() < self._failing:
            fate = fate or "fail"
        if fate == "refuse":
            raise invalid("refused as asked")
        if fate == "bug":
            raise RuntimeError(text)
        if len(text.split()) > CONTEXT_TOKENS:
            param = "messages" if isinstance(payload, Chat) else "prefix"
            raise invalid(f"the prompt is longer than {CONTEXT_TOKENS} tokens", param)
        outputs = _outputs(payload, terms.adapter or "w")
        self._works[request_id] = _Work(
            outputs=outputs,
            ends=_ends(payload, len(outputs)),
            input_tokens=len(text.split()),
            input_characters=len(text),
            audio_seconds=_seconds(payload) if isinstance(payload, Transcribe) else 0.0,
            fate=fate,
            done=[False] * len(outputs),
        )

    def cancel(self, request_id: int) -> None:
        """Forget a request."""
        self._works.pop(request_id, None)

    def step(self) -> StepReport:
        """One token of every output of every request."""
        report = StepReport(time.monotonic_ns(), 0)
        self._steps += 1
        if self._step_s:
            self._wait(self._step_s)
        for request_id, work in list(self._works.items()):
            work.steps += 1
            if work.fate and work.steps >= FATE_STEP:
                if work.fate == "fail":
                    report.events.append((request_id, [Failure(Code.INTERNAL, "failed as asked")]))
                    del self._works[request_id]
                    continue
                _meet(work.fate)
            computed = self._stride if work.at else work.input_tokens + self._stride
            report.computed.append((request_id, computed, work.input_tokens + work.at))
            report.events.append((request_id, self._advance(work)))
            if all(work.done):
                del self._works[request_id]
        report.done_ns = time.monotonic_ns()
        return report

    def lex(self, question: Question) -> Lexed:
        """Tell of tokens: each word is one, numbered by its bytes."""
        match question:
            case Tokenize(text):
                words = [word.encode() for word in text.split()]
                return Lexed(ids=tuple(map(sum, words)), pieces=tuple(words))
            case Detokenize(tokens):
                return Lexed(" ".join(map(str, tokens)))
            case Render(messages):
                return Lexed("".join(f"{one.role}: {one.content}\n" for one in messages))

    def exposition(self) -> bytes:
        """Steps so far, as its own metric."""
        return b"# TYPE fake:steps counter\nfake:steps_total %d\n" % self._steps

    def close(self) -> None:
        """Nothing is held."""

    def _advance(self, work: _Work) -> list[HostEvent]:
        events: list[HostEvent] = []
        start, work.at = work.at, work.at + self._stride
        for index, words in enumerate(work.outputs):
            if work.done[index]:
                continue
            piece = words[start : work.at]
            if piece:
                events.append(Delta(index, "".join(piece), len(piece)))
            if work.at >= len(words):
                work.done[index] = True
                events += work.ends[index]
        if all(work.done):
            events.append(
                Usage(
                    input_tokens=work.input_tokens,
                    output_tokens=sum(len(words) for words in work.outputs),
                    input_characters=work.input_characters,
                    audio_seconds=work.audio_seconds,
                )
            )
        return events


def _text(payload: Payload) -> str:
    match payload:
        case Autocomplete():
            texts = [payload.prefix or "t " * len(payload.tokens)]
        case Chat():
            texts = [message.content for message in payload.messages]
        case Translate() | Classify():
            texts = [*payload.texts]
        case Embed():
            texts = [*payload.texts, *("t " * len(row) for row in payload.tokens)]
        case Rerank():
            texts = [payload.query, *payload.documents]
        case Transcribe():
            texts = [payload.prompt]
        case Summarize():
            texts = [payload.text]
    return " ".join(texts)


def _outputs(payload: Payload, word: str) -> list[list[str]]:
    match payload:
        case Autocomplete() | Chat() | Summarize():
            sampling = payload.sampling
            most = sampling.max_tokens if sampling.max_tokens < UNBOUNDED else CONTEXT_TOKENS
            return [[f"{word}{i} " for i in range(most)] for _ in range(sampling.n)]
        case Translate():
            return [re.findall(r"\S+\s*|\s+", text.upper()) for text in payload.texts]
        case Transcribe():
            return [[f"w{i} " for i in range(AUDIO_WORDS)]]
        case Embed():
            return [[] for _ in payload.tokens or payload.texts]
        case Rerank():
            return [[] for _ in payload.documents]
        case Classify():
            return [[] for _ in payload.texts]


def _ends(payload: Payload, count: int) -> list[tuple[HostEvent, ...]]:
    """What is told of each output when it is complete."""
    match payload:
        case Embed():
            size = payload.dimensions or DIMENSIONS
            return [
                (Vector(index, _vector(repr(one), size)),)
                for index, one in enumerate(payload.tokens or payload.texts)
            ]
        case Rerank():
            words = set(payload.query.lower().split())
            return [
                (Scores(index, (len(words & set(one.lower().split())) / len(words),)),)
                for index, one in enumerate(payload.documents)
            ]
        case Classify():
            labels = payload.labels or LABELS
            own = () if payload.labels else LABELS
            return [
                (Scores(index, _shares([text + label for label in labels]), own),)
                for index, text in enumerate(payload.texts)
            ]
        case Transcribe(timestamps=True):
            said = " ".join(f"w{i}" for i in range(AUDIO_WORDS))
            segment = Segment(0.0, _seconds(payload), said, payload.language or "en")
            return [(segment, Finish(0, FinishReason.STOP))]
    text = not isinstance(payload, Translate | Transcribe)
    reason = FinishReason.LENGTH if text else FinishReason.STOP
    return [(Finish(index, reason),) for index in range(count)]


def _seconds(payload: Transcribe) -> float:
    """Return how long audio would be if it were samples of 16 bits at 16 kHz."""
    return len(payload.audio) / 32_000


def _vector(text: str, size: int) -> bytes:
    numbers = [byte - 127.5 for byte in hashlib.sha256(text.encode()).digest()[:size]]
    length = math.hypot(*numbers)
    return struct.pack(f"<{size}f", *(number / length for number in numbers))


def _shares(texts: list[str]) -> tuple[float, ...]:
    weights = [1 + hashlib.sha256(text.encode()).digest()[0] for text in texts]
    return tuple(weight / sum(weights) for weight in weights)


def _spin(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def _meet(fate: str) -> None:
    if fate == "raise":
        raise RuntimeError("raised as asked")
    if fate == "exit":
        os._exit(3)
    if fate == "hang":
        time.sleep(3600)
    if fate == "shout":
        os.write(2, b"more than is read \xff\n" * 10_000)
    if fate == "oom":
        hoard = []
        while True:
            hoard.append(bytearray(64 << 20))
