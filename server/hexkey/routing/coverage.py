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


def sources(catalog: Sequence[Candidate], target: str, *, pivot: bool) -> tuple[str, ...] | None:
    """Return the languages that can be translated into ``target``, in the catalog's order.

    They are primary codes; None stands for any at all. The target's own language is there only
    where nothing else is, as for ``pt-PT`` into ``pt-BR``.
    """
    found = [match.pair.source for model in catalog for match in model.matches(None, target)]
    if pivot:
        found += [
            code
            for code in dict.fromkeys(one.source for model in catalog for one in model.directions())
            if code not in {ANY, *found} and pivoted(catalog, code, target)
        ]
    if ANY in found:
        return None
    plain = tuple(dict.fromkeys(map(language, found)))
    return tuple(code for code in plain if code != language(target)) or plain


def languages(catalog: Iterable[Candidate]) -> tuple[str, ...] | None:
    """Return every language that is translated from, as ``sources`` does."""
    found = dict.fromkeys(language(pair.source) for one in catalog for pair in one.directions())
    return None if ANY in found else tuple(found)
