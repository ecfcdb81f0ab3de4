"""The engine of every Whisper: audio in, timed text out, windows of several requests in a batch."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hexkey.engines.base import StepReport
from hexkey.engines.batcher import Batcher
from hexkey.engines.ctranslate2.audio import RATE, AudioReader
from hexkey.engines.ctranslate2.mel import FRAMES, SAMPLES, log_mel
from hexkey.engines.failures import failure_of
from hexkey.errors import Code, invalid
from hexkey.types import Delta, Failure, Finish, FinishReason, Segment, Transcribe, Usage

if TYPE_CHECKING:
    from hexkey.engines.ctranslate2.audio import AudioLimits, Samples
    from hexkey.engines.ctranslate2.whisper import Answer, Whisper
    from hexkey.types import HostEvent, ModelInfo, Payload

POSITIONS = FRAMES // 2
"""What the encoder computes on for a window; counted as the window's input tokens."""
SILENT = 0.6  # more sure than this that nobody speaks …
UNSURE = -0.8  # … and less than this of the words: they are not told
MIN_S = 0.1  # what is left of a file, and shorter, holds no word
LEAST_S = 1.0  # what a window gets on by at least, so that audio has an end


@dataclass(slots=True, eq=False)
class _Work:
    """A request: ``window`` is the audio from ``at_s`` on, as far as it is decoded."""

    id: int
    payload: Transcribe
    audio: AudioReader
    language: str
    window: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    at_s: float = 0.0
    usage: Usage = field(default_factory=Usage)

    @property
    def length(self) -> int:
        """Tokens of a window, which is all that waits of a request at a time."""
        return POSITIONS

    def fill(self) -> bool:
        """Decode on until the window is full or the audio ends; False where nothing is left."""
        more = self.audio.read(SAMPLES - len(self.window))
        self.window = np.concatenate([self.window, more])
        self.usage.audio_seconds = self.audio.seconds
        return len(self.window) >= MIN_S * RATE

    def move(self, seconds: float) -> None:
        """Let the window begin later."""
        self.window = self.window[round(seconds * RATE) :]
        self.at_s += seconds


class WhisperEngine:
    """One Whisper and the requests in it; see ``hexkey.engines.base.Engine``."""

    def __init__(
        self, whisper: Whisper, info: ModelInfo, limits: AudioLimits, max_batch: int
    ) -> None:
        self.info = info
        self._whisper = whisper
        self._limits = limits
        self._batcher: Batcher[_Work] = Batcher(max_batch, max_batch * POSITIONS)
        self._works: dict[int, _Work] = {}

    @property
    def running(self) -> int:
        """Requests in work."""
        return len(self._works)

    def add(self, request_id: int, payload: Payload) -> None:
        """Open a request's audio; it is decoded window by window, as it is needed."""
        if not isinstance(payload, Transcribe):
            raise invalid("this model writes down speech only", "model")
        language = self._language(payload.language)
        audio = AudioReader(payload.audio, self._limits)
        work = self._works[request_id] = _Work(request_id, payload, audio, language)
        self._batcher.put(work)

    def cancel(self, request_id: int) -> None:
        """Forget a request."""
        work = self._works.pop(request_id, None)
        if work is not None:
            self._batcher.drop(lambda waiting: waiting is work)
            work.audio.close()

    def step(self) -> StepReport:
        """Write down the next window of each request of one batch."""
        report = StepReport(time.monotonic_ns(), 0)
        events: dict[int, list[HostEvent]] = {}
        full: list[_Work] = []
        for work in self._batcher.take():
            more = self._filled(work)
            if isinstance(more, Failure):
                self.cancel(work.id)
                events[work.id] = [more]
            elif more:
                full.append(work)
            else:
                events[work.id] = self._end(work)
        for work, answer in zip(full, self._answers(full), strict=True):
            if answer is None:
                self.cancel(work.id)
                events[work.id] = [Failure(Code.INTERNAL, "the model failed on this audio")]
                continue
            report.computed.append((work.id, POSITIONS + len(answer.tokens), 0))
            events[work.id] = self._take_in(work, answer)
        report.done_ns = time.monotonic_ns()
        report.events = [(request_id, some) for request_id, some in events.items() if some]
        return report

    def close(self) -> None:
        """Forget everything."""
        for request_id in list(self._works):
            self.cancel(request_id)

    def _filled(self, work: _Work) -> bool | Failure:
        """Decode a request's next window; False where nothing is left, or why it cannot be."""
        try:
            return work.fill()
        except Exception as error:  # noqa: BLE001 - one odd file must not fail its batch-mates
            return failure_of(error)

    def _language(self, code: str) -> str:
        """Return the language to write down, empty where it is to be found out."""
        code = code.lower().partition("-")[0]
        speech = self._whisper.speech
        if not speech.multilingual:
            if code not in {"", "en"}:
                raise invalid("this model understands English only", "language")
            return "en"
        if code and not speech.has(code):
            raise invalid(f"this model knows no language {code!r}", "language")
        return code

    def _answers(self, works: list[_Work]) -> list[Answer | None]:
        """Compute a batch; where it fails, each by itself, so that one cannot fail others."""
        if not works:
            return []
        whisper = self._whisper
        try:
            features = [log_mel(work.window, whisper.bands) for work in works]
            if not all(work.language for work in works):
                for work, found in zip(works, whisper.languages(features), strict=True):
                    work.language = work.language or found
            prompts = [whisper.speech.prompt(work.payload, work.language) for work in works]
            return [*whisper.answer(features, prompts)]
        except Exception:  # noqa: BLE001 - whatever it was, the batch-mates get their answer
            if len(works) == 1:
                return [None]
            return [self._answers([work])[0] for work in works]

    def _take_in(self, work: _Work, answer: Answer) -> list[HostEvent]:
        """Tell what a window held, and queue the next one or end."""
        speech, usage = self._whisper.speech, work.usage
        duration_s = len(work.window) / RATE
        heard = speech.read(answer.tokens, duration_s)
        usage.input_tokens += POSITIONS
        events: list[HostEvent] = []
        silent = answer.silent > SILENT and answer.sure < UNSURE
        for piece in heard.pieces:
            text = "" if silent else speech.text(piece.tokens)
            if not text:
                continue
            usage.output_tokens += len(piece.tokens)
            events.append(Delta(0, text, len(piece.tokens)))
            if work.payload.timestamps:
                start_s = work.at_s + min(piece.start_s, duration_s)
                end_s = work.at_s + min(piece.end_s, duration_s)
                events.append(
                    Segment(round(start_s, 2), round(end_s, 2), text.strip(), work.language)
                )
        last = len(work.window) < SAMPLES
        work.move(min(max(heard.next_s, LEAST_S), duration_s))
        if last and len(work.window) < MIN_S * RATE:
            return [*events, *self._end(work)]
        self._batcher.put(work)
        return events

    def _end(self, work: _Work) -> list[HostEvent]:
        self.cancel(work.id)
        return [Finish(0, FinishReason.STOP), work.usage]
