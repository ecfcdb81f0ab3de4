"""What each task asks of a sentence encoder: the texts to read and what their vectors tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from hexkey.errors import invalid
from hexkey.types import Classify, Embed, Rerank, Scores, Vector

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from hexkey.types import HostEvent, Payload

    Numbers = NDArray[np.float32]

Input = str | tuple[int, ...]
HYPOTHESIS = "This is about {}."
SHARPNESS = 20.0
"""What cosines are multiplied by before the softmax; the usual scale of training such a model."""


class Reader(Protocol):
    """One request: what is to be read, in order, and what each vector makes known.

    ``truncate`` says whether a text too long is cut, ``param`` what the caller calls the texts.
    """

    inputs: Sequence[Input]
    truncate: bool
    param: str

    def take(self, position: int, vector: Numbers) -> list[HostEvent]:
        """Take the vector of the input at ``position``; return what is known by it."""


def reader_of(payload: Payload) -> Reader:
    """Return the reader of a payload; ``ServeError`` for what an encoder cannot do."""
    if isinstance(payload, Embed):
        return _Embedding(payload)
    if isinstance(payload, Rerank):
        return _Comparison(
            [payload.query],
            payload.documents,
            _cosine,
            truncate=payload.truncate,
            param="documents",
        )
    if isinstance(payload, Classify):
        labels = [HYPOTHESIS.format(label) for label in payload.labels]
        return _Comparison(labels, payload.texts, _shares, truncate=True, param="text")
    raise invalid("this model reads texts: it embeds, reranks and classifies", "model")


class _Embedding:
    param = "text"

    def __init__(self, payload: Embed) -> None:
        self.inputs: Sequence[Input] = payload.tokens or payload.texts
        self.truncate = payload.truncate
        self._dimensions = payload.dimensions

    def take(self, position: int, vector: Numbers) -> list[HostEvent]:
        if self._dimensions:
            vector = vector[: self._dimensions]
            vector = vector / np.linalg.norm(vector)
        return [Vector(position, vector.astype("<f4").tobytes())]


class _Comparison:
    """Each of ``texts`` is compared with all of ``against``, as soon as those are known."""

    def __init__(
        self,
        against: Sequence[str],
        texts: Sequence[str],
        scores: Callable[[Numbers], tuple[float, ...]],
        *,
        truncate: bool,
        param: str,
    ) -> None:
        self.inputs: Sequence[Input] = [*against, *texts]
        self.truncate = truncate
        self.param = param
        self._scores = scores
        self._against: dict[int, Numbers] = {}
        self._waiting: dict[int, Numbers] = {}
        self._count = len(against)

    def take(self, position: int, vector: Numbers) -> list[HostEvent]:
        known = self._against if position < self._count else self._waiting
        known[position] = vector
        if len(self._against) < self._count:
            return []
        against = np.stack([self._against[index] for index in range(self._count)])
        events: list[HostEvent] = [
            Scores(place - self._count, self._scores(against @ waiting))
            for place, waiting in self._waiting.items()
        ]
        self._waiting.clear()
        return events


def _cosine(cosines: Numbers) -> tuple[float, ...]:
    return tuple(np.clip(cosines, 0, 1).tolist())


def _shares(cosines: Numbers) -> tuple[float, ...]:
    powers = np.exp(SHARPNESS * (cosines - cosines.max()))
    return tuple((powers / powers.sum()).tolist())
