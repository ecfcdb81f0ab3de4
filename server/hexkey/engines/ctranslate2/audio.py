"""Audio files to samples, a piece at a time, within bounds that a small file cannot break.

libsndfile decodes WAV, FLAC, MP3 and OGG (Vorbis, Opus). A few kilobytes of FLAC can hold hours of
silence in many channels, so nothing is decoded before it is needed, and no more than is allowed.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soundfile
import soxr

from hexkey.errors import Code, ServeError, invalid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

RATE = 16_000
"""Samples a second of what comes out, which is one channel."""


class AudioLimits(NamedTuple):
    """What a file may hold."""

    seconds: float = 1800.0
    channels: int = 8
    min_rate: int = 4_000
    max_rate: int = 192_000


class AudioReader:
    """Decodes one file. ``ServeError`` where it is none that is read here, or is out of bounds."""

    def __init__(self, data: bytes, limits: AudioLimits) -> None:
        self._limits = limits
        try:
            self._file = soundfile.SoundFile(io.BytesIO(data))
        except soundfile.SoundFileError:
            raise invalid("the file is no WAV, FLAC, MP3 or OGG that can be read", "file") from None
        file = self._file
        if file.channels > limits.channels:
            raise _beyond(f"{file.channels} channels; at most {limits.channels} are taken")
        if not limits.min_rate <= file.samplerate <= limits.max_rate:
            within = f"{limits.min_rate} to {limits.max_rate} are taken"
            raise _beyond(f"{file.samplerate} samples a second; {within}")
        if file.frames > limits.seconds * file.samplerate and file.frames < 1 << 62:
            raise self._too_long()
        self._resampler = soxr.ResampleStream(file.samplerate, RATE, 1, dtype="float32")
        self._ready = np.zeros(0, np.float32)
        self._frames = 0
        self._ended = False

    @property
    def seconds(self) -> float:
        """How much was decoded until now; all of the audio once ``read`` gave less than asked."""
        return self._frames / float(self._file.samplerate)

    def read(self, count: int) -> Samples:
        """Return the next ``count`` samples, fewer only at the end."""
        while len(self._ready) < count and not self._ended:
            self._decode_second()
        samples, self._ready = self._ready[:count], self._ready[count:]
        return samples

    def close(self) -> None:
        """Free the decoder."""
        self._file.close()

    def _decode_second(self) -> None:
        rate = self._file.samplerate
        try:
            frames = self._file.read(rate, dtype="float32", always_2d=True)
        except soundfile.SoundFileError:
            raise invalid("the audio is damaged", "file") from None
        self._frames += len(frames)
        if self._frames > self._limits.seconds * rate:
            raise self._too_long()
        self._ended = len(frames) < rate
        mono = np.nan_to_num(frames.mean(axis=1, dtype=np.float32))
        more = self._resampler.resample_chunk(mono, last=self._ended)
        self._ready = np.concatenate([self._ready, more])

    def _too_long(self) -> ServeError:
        return _beyond(f"more than the {self._limits.seconds:g} seconds that are taken")


def _beyond(what: str) -> ServeError:
    return ServeError(Code.TOO_LARGE, f"the audio has {what}", param="file")
