"""What a catalog covers: its directions, and what is reached only through a third language."""

from __future__ import annotations

from itertools import product
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
    # What is cheap to see is looked at first: a server of a hundred pairs has thousands of these.
    straightly = {(language(pair.source), language(pair.target)) for pair in direct}
    onward: dict[str, set[str]] = {}
    back: dict[str, set[str]] = {}
    for pair in direct:
        onward.setdefault(pair.source, set()).add(language(pair.target))
        back.setdefault(pair.target, set()).add(language(pair.source))

    def only_two(source: str, target: str) -> bool:
        ends = {language(source), language(target)}
        if len(ends) == 1:
            return False
        between = onward[source] & back[target] - ends
        if not between and ANY not in onward[source] | back[target]:
            return False
        sides = product((language(source), ANY), (language(target), ANY))
        if straightly.intersection(sides) and straight(catalog, source, target):
            return False
        return bool(pivoted(catalog, source, target))

    return [
        Pair(source, target)
        for source in sorted(onward.keys() - {ANY})
        for target in sorted(back.keys() - {ANY})
        if only_two(source, target)
    ]


def sources(catalog: Sequence[Candidate], target: str, *, pivot: bool) -> tuple[str, ...] | None:
    """Return the languages that can be translated into ``target``, in the catalog's order.

    They are primary codes; None stands for any at all. The target's own language is there only
    where nothing else is, as for ``pt-PT`` into ``pt-BR``.
    """
    found = [match.pair.source for model in catalog for match in model.matches(None, target)]
    if ANY in found:
        return None
    if pivot:
        between = [code for code in dict.fromkeys(found) if language(code) != language(target)]
        found += [
            pair.source
            for model in catalog
            for code in between
            for match in model.matches(None, code)
            if language((pair := match.pair).source) not in {language(code), language(target)}
        ]
    if ANY in found:
        return None
    plain = tuple(dict.fromkeys(map(language, found)))
    return tuple(code for code in plain if code != language(target)) or plain


def languages(catalog: Iterable[Candidate]) -> tuple[str, ...] | None:
    """Return every language that is translated from, as ``sources`` does."""
    found = dict.fromkeys(language(pair.source) for one in catalog for pair in one.directions())
    return None if ANY in found else tuple(found)
