"""Finds out which language a text is in, among those that are possible.

The library is py3langid (BSD-3-Clause): a naive Bayes over byte sequences, 4.6 MB, no pickle, and
tens of microseconds for a sentence, so it runs where it is asked. See benchmarks/detection.py.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hexkey import routing
from hexkey.routing import Detected
from hexkey.types import Translate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hexkey.routing import Candidate
    from hexkey.types import Request

    Rank = Callable[[str], list[tuple[str, float]]]

MAX_CHARACTERS = 1000
"""What is looked at of a text; more tells nothing new and takes longer."""
SURE = 0.8
"""A text less sure of its own language than this is taken to be in its list's."""
COMMON = (
    *("en", "es", "fr", "de", "pt", "it", "nl", "ru", "zh", "ja", "ko", "ar", "tr", "pl", "uk"),
    *("cs", "sv", "da", "no", "fi", "el", "hu", "ro", "bg", "he", "hi", "fa", "id", "vi", "th"),
    *("sr", "hr", "sk", "sl", "lt", "lv", "et", "ca", "bn", "ta", "te", "ur", "ms"),
)
"""What is possible where models translate from any language."""
# Written varieties that the library tells apart and models do not; Norwegian has three codes.
_PART_OF = {"yue": "zh", "wuu": "zh", "pcm": "en", "ary": "ar", "arz": "ar", "nn": "no"}
_CALLED = {"nb": "no", "nn": "no", "iw": "he", "in": "id"}


class Detector:
    """Loads what it needs (0.7 s, about 95 MB) for the first text that it is asked about."""

    def __init__(self) -> None:
        self._rank: Rank | None = None
        self._loading = asyncio.Lock()

    async def detect(self, text: str, among: Sequence[str] | None) -> Detected:
        """Return the likeliest of the languages in ``among``, of which there is at least one.

        They are primary codes such as ``pt``; None stands for all common ones. A text that tells
        nothing is in the first of them. One language alone is certain.
        """
        if among is not None and len(among) == 1:
            return Detected(among[0], 1.0)
        return _likeliest(self._rank or await self._load(), text, among)

    async def each(self, texts: Sequence[str], among: Sequence[str] | None) -> list[Detected]:
        """Return the language of each text, as ``detect`` does of one.

        A text that does not tell it surely, mostly a short one, is in that of all of them together.
        """
        together = await self.detect("\n".join(texts), among)
        if among is not None and len(among) == 1:
            return [together] * len(texts)
        rank = self._rank or await self._load()
        alone = await asyncio.to_thread(lambda: [_likeliest(rank, one, among) for one in texts])
        return [one if one.confidence >= SURE else together for one in alone]

    async def _load(self) -> Rank:
        async with self._loading:
            if self._rank is None:
                self._rank = await asyncio.to_thread(_load)
            return self._rank


def possible(
    request: Request, catalog: Sequence[Candidate], *, pivot: bool
) -> Sequence[str] | None:
    """Return the languages that a translation's source may be in, None for any.

    There are none where it says its source, or is no translation.
    """
    payload = request.payload
    if not isinstance(payload, Translate) or routing.language(payload.source):
        return ()
    named = [model for model in catalog if model.name == request.model]
    return routing.sources(named or catalog, routing.normal(payload.target), pivot=pivot)


def _likeliest(rank: Rank, text: str, among: Sequence[str] | None) -> Detected:
    possible = COMMON if among is None else among
    weights: dict[str, float] = {}
    for found, weight in rank(text[:MAX_CHARACTERS]):
        code = _PART_OF.get(found, found)
        weights[code] = weights.get(code, 0.0) + weight
    chances = [weights.get(_CALLED.get(code, code), 0.0) for code in possible]
    best = max(range(len(possible)), key=chances.__getitem__)
    total = sum(chances)
    return Detected(possible[best], chances[best] / total if total else 0.0)


def _load() -> Rank:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    rank: Rank = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True).rank
    return rank
