"""Whisper on real speech: the words, when they were said, and what is no speech."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from hexkey.engines.base import LoadContext
from hexkey.engines.ctranslate2 import load
from hexkey.engines.ctranslate2.audio import RATE
from hexkey.engines.ctranslate2.speech import Speech
from hexkey.engines.ctranslate2.transcription import POSITIONS, WhisperEngine
from hexkey.engines.translation import TranslationEngine
from hexkey.errors import Code, ServeError
from hexkey.models.errors import ModelError
from hexkey.types import (
    Chat,
    Delta,
    Failure,
    Finish,
    HostEvent,
    Message,
    Segment,
    Transcribe,
    Usage,
)

SPEECH = Path(__file__).parents[3] / "data" / "speech.flac"
WORDS = "How much does the machine cost? It costs ten cents an hour."
Events = list[HostEvent]


def context(folder: Path, **options: object) -> LoadContext:
    return LoadContext("whisper", folder, options, lambda _text: None)


@pytest.fixture(scope="module")
def engine(whisper: Path) -> WhisperEngine:
    loaded = load(context(whisper))
    assert isinstance(loaded, WhisperEngine)
    return loaded


@pytest.fixture(scope="module")
def samples() -> Any:
    return soundfile.read(SPEECH, dtype="float32")[0]


def flac(samples: Any) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format="FLAC")
    return buffer.getvalue()


def run(engine: WhisperEngine, *payloads: Transcribe) -> dict[int, Events]:
    events: dict[int, Events] = {}
    for number, payload in enumerate(payloads):
        engine.add(number, payload)
    while engine.running:
        for request_id, some in engine.step().events:
            events.setdefault(request_id, []).extend(some)
    return events


def text(events: Events) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta)).strip()


def test_the_words_are_written_down(engine: WhisperEngine) -> None:
    events = run(engine, Transcribe(audio=SPEECH.read_bytes()))[0]
    assert text(events) == WORDS
    assert not [event for event in events if isinstance(event, Segment)]
    finish, usage = events[-2:]
    assert isinstance(finish, Finish)
    assert isinstance(usage, Usage)
    assert usage.audio_seconds == pytest.approx(5.218, abs=0.01)
    assert usage.input_tokens == POSITIONS
    assert usage.output_tokens == sum(one.tokens for one in events if isinstance(one, Delta))


def test_segments_tell_when(engine: WhisperEngine) -> None:
    events = run(engine, Transcribe(audio=SPEECH.read_bytes(), timestamps=True))[0]
    first, second = (event for event in events if isinstance(event, Segment))
    assert (first.text, second.text) == tuple(part + end for part, end in zip(
        ("How much does the machine cost", "It costs ten cents an hour"), "?.", strict=True
    ))  # fmt: skip
    assert 0 <= first.start_s < first.end_s <= second.start_s < second.end_s <= 5.22
    assert first.end_s == pytest.approx(2, abs=0.5)
    assert first.language == "en"


def test_a_long_file_is_read_window_by_window(engine: WhisperEngine, samples: Any) -> None:
    pause = np.zeros(RATE, np.float32)
    audio = flac(np.concatenate([samples, pause] * 7))
    engine.add(1, Transcribe(audio=audio, timestamps=True))
    first = engine.step()
    assert engine.running
    assert [request_id for request_id, _ in first.events] == [1]
    events = first.events[0][1]
    while engine.running:
        events += engine.step().events[0][1]
    assert text(events).count("machine cost") == 7
    assert text(events).count("cents an hour") == 7
    starts = [event.start_s for event in events if isinstance(event, Segment)]
    assert starts == sorted(starts)
    assert starts[-1] > 36
    usage = events[-1]
    assert isinstance(usage, Usage)
    assert usage.audio_seconds == pytest.approx(7 * 6.218, abs=0.05)


def test_company_changes_nothing(engine: WhisperEngine, samples: Any) -> None:
    requests = [
        Transcribe(audio=flac(part)) for part in (samples, samples[: 2 * RATE], samples[::-1])
    ]
    alone = [text(run(engine, request)[0]) for request in requests]
    together = run(engine, *requests)
    assert [text(together[number]) for number in range(3)] == alone


def test_silence_and_noise_say_nothing(engine: WhisperEngine) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, 3 * RATE)
    for quiet in (np.zeros(3 * RATE), np.zeros(RATE // 20), noise):
        events = run(engine, Transcribe(audio=flac(quiet)))[0]
        assert text(events) == ""
        assert isinstance(events[-1], Usage)


def test_what_it_cannot_do_is_refused(engine: WhisperEngine) -> None:
    audio = SPEECH.read_bytes()
    with pytest.raises(ServeError, match="English only"):
        engine.add(1, Transcribe(audio=audio, language="pt"))
    with pytest.raises(ServeError, match="writes down speech only"):
        engine.add(1, Chat(messages=(Message("user", "hi"),)))
    with pytest.raises(ServeError, match="no WAV, FLAC"):
        engine.add(1, Transcribe(audio=b"text"))
    assert engine.running == 0
    engine.add(1, Transcribe(audio=audio, language="en-US", prompt="Prices of machines."))
    engine.cancel(1)
    assert engine.running == 0
    assert engine.step().events == []


def test_what_fails_fails_alone(engine: WhisperEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    real = engine._whisper.answer

    def answer(features: Any, prompts: Any) -> Any:
        if any(len(prompt) > 2 for prompt in prompts):
            raise RuntimeError("canary")
        return real(features, prompts)

    monkeypatch.setattr(engine._whisper, "answer", answer)
    audio = SPEECH.read_bytes()
    bad, good = run(
        engine, Transcribe(audio=audio, prompt="fail"), Transcribe(audio=audio)
    ).values()
    assert isinstance(bad[-1], Failure)
    assert bad[-1].code is Code.INTERNAL
    assert "canary" not in bad[-1].message
    assert text(good) == WORDS


def test_a_decoder_that_breaks_breaks_nobody_else(
    engine: WhisperEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = SPEECH.read_bytes()
    engine.add(1, Transcribe(audio=audio))

    def read(_count: int) -> object:
        raise MemoryError("canary")

    monkeypatch.setattr(engine._works[1].audio, "read", read)
    engine.add(2, Transcribe(audio=audio))
    events = dict(engine.step().events)
    (failure,) = events[1]
    assert isinstance(failure, Failure)
    assert (failure.code, "canary" in failure.message) == (Code.INTERNAL, False)
    assert text(events[2]) == WORDS


def test_a_file_that_proves_too_long_fails_alone(whisper: Path, samples: Any) -> None:
    engine = load(context(whisper, max_audio_s=6))
    assert isinstance(engine, WhisperEngine)
    with pytest.raises(ServeError, match="more than the 6 seconds"):
        engine.add(1, Transcribe(audio=flac(np.concatenate([samples, samples]))))
    hidden = bytearray(flac(np.concatenate([samples, samples])))
    hidden[21] &= 0xF0  # FLAC may leave its length out
    hidden[22:26] = bytes(4)
    audio = SPEECH.read_bytes()
    bad, good = run(engine, Transcribe(audio=bytes(hidden)), Transcribe(audio=audio)).values()
    assert isinstance(bad[-1], Failure)
    assert bad[-1].code is Code.TOO_LARGE
    assert text(good) == WORDS


def test_files_say_which_kind_of_model_it_is(opus_like: Path, tmp_path: Path) -> None:
    assert isinstance(load(context(opus_like)), TranslationEngine)
    (tmp_path / "config.json").write_text('{"alignment_heads": []}')
    with pytest.raises(ModelError, match="not a Whisper"):
        load(context(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="no JSON"):
        load(context(tmp_path))


def times(*seconds: float) -> list[int]:
    return [50363 + round(one / 0.02) for one in seconds]


@pytest.mark.parametrize(
    ("tokens", "pieces", "next_s"),
    [
        # Two pieces and silence behind them: the window is done.
        ([*times(0), 5, *times(2, 2), 6, *times(3)], [(0, 2, [5]), (2, 3, [6])], 30),
        # The second was cut off by the window's end: it is heard again.
        ([*times(0), 5, *times(2, 2.5), 6], [(0, 2, [5])], 2),
        # One piece, with its end, without its end, without any time.
        ([*times(1), 5, *times(4)], [(0, 4, [5])], 30),
        ([*times(0), 5], [(0, 7, [5])], 30),
        ([5, 6], [(0, 7, [5, 6])], 30),
        ([], [(0, 7, [])], 30),
    ],
)
def test_an_answer_is_cut_at_its_times(
    engine: WhisperEngine, tokens: list[int], pieces: list[Any], next_s: float
) -> None:
    speech: Speech = engine._whisper.speech
    heard = speech.read(tokens, 7.0)
    assert [(round(a, 2), round(b, 2), words) for a, b, words in heard.pieces] == pieces
    assert heard.next_s == pytest.approx(next_s)
