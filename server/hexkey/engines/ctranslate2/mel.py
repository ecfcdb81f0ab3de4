"""What Whisper hears: the logarithm of the power in mel bands, 100 frames a second.

Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, section 2.2; the
bands are Slaney's (Auditory Toolbox, 1998), of equal area.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from hexkey.engines.ctranslate2.audio import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hexkey.engines.ctranslate2.audio import Samples

WINDOW_S = 30
SAMPLES = WINDOW_S * RATE
FFT = 400
HOP = 160
FRAMES = SAMPLES // HOP
_FLOOR = 1e-10
_RANGE = 8.0  # decades below the loudest that are told apart
_LINEAR_HZ = 200 / 3  # Hz of one mel, below
_KNEE_HZ = 1000.0
_KNEE_MEL = _KNEE_HZ / _LINEAR_HZ
_LOG_STEP = np.log(6.4) / 27


def log_mel(samples: Samples, bands: int) -> Samples:
    """Return (bands, FRAMES) of at most ``SAMPLES`` samples, silence behind them."""
    padded = np.zeros(SAMPLES + FFT, np.float32)
    middle = padded[FFT // 2 : -FFT // 2]
    middle[: len(samples)] = samples
    padded[: FFT // 2] = middle[FFT // 2 : 0 : -1]
    padded[-FFT // 2 :] = middle[-2 : -FFT // 2 - 2 : -1]
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP][:FRAMES]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)
    power = np.abs(np.fft.rfft(frames * window.astype(np.float32), axis=1)) ** 2
    mel = np.log10(np.maximum(_filters(bands) @ power.T, _FLOOR))
    mel = np.maximum(mel, mel.max() - _RANGE)
    return np.ascontiguousarray((mel + 4) / 4, np.float32)


@cache
def _filters(bands: int) -> NDArray[np.float64]:
    """Return (bands, FFT / 2 + 1): triangles between neighbours in mel."""
    edges = _hertz(np.linspace(0, _mel(RATE / 2), bands + 2))
    bins = np.linspace(0, RATE / 2, FFT // 2 + 1)
    low, centre, high = (part[:, None] for part in (edges[:-2], edges[1:-1], edges[2:]))
    rise, fall = (bins - low) / (centre - low), (high - bins) / (high - centre)
    filters: NDArray[np.float64] = np.maximum(0, np.minimum(rise, fall)) * 2 / (high - low)
    return filters


def _mel(hertz: float) -> float:
    if hertz < _KNEE_HZ:
        return hertz / _LINEAR_HZ
    return float(_KNEE_MEL + np.log(hertz / _KNEE_HZ) / _LOG_STEP)


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _KNEE_HZ * np.exp(_LOG_STEP * (mel - _KNEE_MEL))
    return np.where(mel < _KNEE_MEL, mel * _LINEAR_HZ, above)
