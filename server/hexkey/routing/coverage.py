"""What a catalog covers: its directions, and what is reached only through a third language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexkey.routing.candidates import ANY, Pair
from hexkey.routing.languages import language
from hexkey.routing.ways import pivoted, straight

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hexkey.routing.candidates import Candidate


def pairs(catalog: Iterable[Candidate]) -> list[Pair]:
    """Return every direction that one model serves, sorted; ``ANY`` stands for all languages."""
    return sorted({pair for model in catalog for pair in model.directions()}, key=str)


def pivots(catalog: Sequence[Candidate]) -> list[Pair]:
    """Return every direction, between languages that are named, that only two models serve."""
    direct = pairs(catalog)
    starts = {pair.source for pair in direct} - {ANY}
    ends = {pair.target for pair in direct} - {ANY}
    return [
        Pair(source, target)
        for source in sorted(starts)
        for target in sorted(ends)
        if language(source) != language(target)
        and not straight(catalog, source, target)
        and pivoted(catalog, source, target)
    ]


def sources(catalog: Sequence[Candidate], target: str, *, pivot: bool) -> frozenset[str] | None:
    """Return the languages that can be translated into ``target``; None stands for any at all."""
    found: set[str] = set()
    for model in catalog:
        for match in model.matches(None, target):
            found.add(match.pair.source)
    if pivot:
        for code in {pair.source for pair in pairs(catalog)} - found - {ANY}:
            if pivoted(catalog, code, target):
                found.add(code)
    if ANY in found:
        return None
    return frozenset(map(language, found)) - {language(target)} or frozenset(map(language, found))
