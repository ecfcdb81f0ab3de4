"""Audio in: what each format holds comes out, and what a bomb holds does not."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from hexkey.engines.ctranslate2.audio import RATE, AudioLimits, AudioReader
from hexkey.engines.ctranslate2.mel import FRAMES, SAMPLES, log_mel
from hexkey.errors import Code, ServeError

LIMITS = AudioLimits(seconds=10)


def written(samples: Any, rate: int, kind: str = "WAV", subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def tone(hertz: float, seconds: float, rate: int) -> Any:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def loudest_hertz(samples: Any) -> float:
    spectrum = np.abs(np.fft.rfft(samples))
    return float(np.argmax(spectrum)) * RATE / len(samples)


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("WAV", None), ("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)],
)
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_tone_stays_the_same_tone_whatever_carries_it(
    kind: str, subtype: str | None, rate: int
) -> None:
    stereo = np.stack([tone(440, 2.0, rate)] * 2, axis=1)
    reader = AudioReader(written(stereo, rate, kind, subtype), LIMITS)
    samples = reader.read(SAMPLES)
    assert len(samples) / RATE == pytest.approx(2.0, abs=0.1)
    assert reader.seconds == pytest.approx(2.0, abs=0.1)
    assert loudest_hertz(samples) == pytest.approx(440, abs=2)
    assert len(reader.read(SAMPLES)) == 0
    reader.close()


def test_a_file_is_decoded_as_far_as_it_is_read() -> None:
    reader = AudioReader(written(tone(440, 9.0, 8000), 8000), LIMITS)
    assert len(reader.read(RATE)) == RATE
    assert reader.seconds < 4
    rest = reader.read(SAMPLES)
    assert (len(rest) + RATE) / RATE == pytest.approx(9.0, abs=0.01)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(8000 * 11), 8000, "more than the 10 seconds"),
        (np.zeros((100, 9)), 8000, "9 channels; at most 8 are taken"),
        (np.zeros(100), 3999, "3999 samples a second; 4000 to 192000 are taken"),
        (np.zeros(100), 192_001, "192001 samples a second"),
    ],
)
def test_what_is_beyond_the_bounds_is_refused_unread(samples: Any, rate: int, message: str) -> None:
    with pytest.raises(ServeError, match=message) as caught:
        AudioReader(written(samples, rate), LIMITS)
    assert (caught.value.code, caught.value.param) == (Code.TOO_LARGE, "file")


def test_a_bomb_is_not_decoded() -> None:
    """An hour of silence in eight channels: 5.5 GB of samples in a fraction of a megabyte."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 48_000, 8, format="FLAC", subtype="PCM_16") as file:
        minute = np.zeros((48_000 * 60, 8), np.int16)
        for _ in range(60):
            file.write(minute)
    bomb = buffer.getvalue()
    assert len(bomb) < 4 << 20
    with pytest.raises(ServeError, match="more than the 1800 seconds"):
        AudioReader(bomb, AudioLimits())


def test_a_header_that_says_less_than_there_is_does_not_help() -> None:
    """FLAC may leave its length out (0 in STREAMINFO); the bound then holds while decoding."""
    bomb = bytearray(written(np.zeros(8000 * 3600), 8000, "FLAC"))
    assert bomb[:4] == b"fLaC"
    bomb[21] &= 0xF0  # the upper 4 of the 36 bits of the number of samples
    bomb[22:26] = bytes(4)
    reader = AudioReader(bytes(bomb), LIMITS)
    begun = time.process_time()
    with pytest.raises(ServeError, match="more than the 10 seconds"):
        reader.read(SAMPLES * 1000)
    assert reader.seconds <= 11
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("data", [b"RIFF", b"\0" * 100, b"ID3", b"OggS" * 100, b"fLaC" + bytes(99)])
def test_what_is_no_audio_is_refused(data: bytes) -> None:
    with pytest.raises(ServeError, match="no WAV, FLAC, MP3 or OGG") as caught:
        AudioReader(data, LIMITS)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_damaged_audio_ends_and_harms_nobody() -> None:
    flac = Path(__file__).parents[3].joinpath("data", "speech.flac").read_bytes()
    for cut in (len(flac) // 3, len(flac) // 2):
        damaged = flac[:cut] + bytes(2000) + flac[cut + 2000 :]
        reader = AudioReader(damaged, LIMITS)
        try:
            samples = reader.read(SAMPLES)
        except ServeError as error:
            assert "damaged" in error.message  # noqa: PT017 - either is right
        else:
            assert len(samples) <= 11 * RATE


def test_numbers_that_are_none_are_taken_for_silence() -> None:
    samples = np.full(8000, np.nan, np.float32)
    reader = AudioReader(written(samples, 8000, "WAV", "FLOAT"), LIMITS)
    assert not reader.read(SAMPLES).any()


def test_a_tone_is_heard_in_its_band() -> None:
    quiet = log_mel(np.zeros(RATE, np.float32), 80)
    assert quiet.shape == (80, FRAMES)
    assert quiet.min() == quiet.max()
    bands = []
    for hertz in (200, 1000, 4000):
        heard = log_mel(tone(hertz, 1.0, RATE).astype(np.float32), 80)
        second = heard[:, 10:90].mean(axis=1)
        bands.append(int(np.argmax(second)))
        assert heard[:, 200:].max() < second.max() - 1
    # 15 bands a thousand Hertz below 1 kHz, as 80 of equal width in mel up to 8 kHz give.
    assert bands == sorted(bands)
    assert bands[0] == pytest.approx(200 / (200 / 3) / (45.2456 / 81) - 1, abs=1)
    assert bands[1] == pytest.approx(15 / (45.2456 / 81) - 1, abs=1)
