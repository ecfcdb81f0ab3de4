"""What a catalog covers: its directions, and what is reached only through a third language.

A catalog may have hundreds of languages and anybody may ask, so what is told of all of it is
remembered for the last few catalogs, and what is told of one language takes a few set operations.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from hexkey.routing.candidates import ANY, Pair
from hexkey.routing.languages import closeness, language, well_formed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hexkey.routing.candidates import Candidate

CATALOGS = 8
"""How many catalogs are remembered: what callers may use differs."""


def directions(catalog: Iterable[Candidate]) -> Iterator[Pair]:
    """Yield every direction that one model serves, once; ``ANY`` stands for all languages."""
    seen: set[Pair] = set()
    for model in catalog:
        for pair in model.directions():
            if pair not in seen:
                seen.add(pair)
                yield pair


def pairs(catalog: Iterable[Candidate]) -> tuple[Pair, ...]:
    """Return every direction that one model serves, sorted."""
    return _pairs(tuple(catalog))


def pivots(catalog: Iterable[Candidate]) -> tuple[Pair, ...]:
    """Return every direction, between languages that are named, that only two models serve."""
    return _pivots(tuple(catalog))


def sources(catalog: Sequence[Candidate], target: str, *, pivot: bool) -> tuple[str, ...] | None:
    """Return the languages that can be translated into ``target``, in the catalog's order.

    They are primary codes; None stands for any at all. The target's own language is there only
    where nothing else is, as for ``pt-PT`` into ``pt-BR``.
    """
    plain = language(target)
    found = [match.pair.source for model in catalog for match in model.matches(None, target)]
    if pivot and ANY not in found:
        between = _by_language(code for code in found if language(code) != plain)
        found += [
            code for model in catalog for code in _into(model, between) if language(code) != plain
        ]
    if ANY in found:
        return None
    known = tuple(dict.fromkeys(map(language, found)))
    return tuple(code for code in known if code != plain) or known


def languages(catalog: Iterable[Candidate]) -> tuple[str, ...] | None:
    """Return every language that is translated from, as ``sources`` does."""
    found: dict[str, None] = {}
    for model in catalog:
        for pair in model.pairs:
            wild = ANY in {pair.source, pair.target}
            into = set(map(language, model.spelled(pair.target)))
            for code in map(language, model.spelled(pair.source)):
                if not wild or code == ANY or not into <= {code}:
                    found[code] = None
    return None if ANY in found else tuple(found)


@lru_cache(CATALOGS)
def _pairs(catalog: tuple[Candidate, ...]) -> tuple[Pair, ...]:
    return tuple(sorted(directions(catalog), key=str))


@lru_cache(CATALOGS)
def _pivots(catalog: tuple[Candidate, ...]) -> tuple[Pair, ...]:
    direct = _pairs(catalog)
    froms = sorted({pair.source for pair in direct} - {ANY})
    tos = sorted({pair.target for pair in direct} - {ANY})
    onward = {
        code: _by_language(
            match.pair.target for model in catalog for match in model.matches(code, None)
        )
        for code in froms
    }
    back = {
        code: _by_language(
            match.pair.source for model in catalog for match in model.matches(None, code)
        )
        for code in tos
    }

    def only_two(source: str, target: str) -> bool:
        first, second = onward[source], back[target]
        ends = {language(source), language(target)}
        straight = ANY in first or _close((target,), first.get(language(target), ()))
        return (
            len(ends) > 1
            and not straight
            and any(_close(first[one], second[one]) for one in first.keys() & second.keys() - ends)
        )

    return tuple(
        Pair(source, target) for source in froms for target in tos if only_two(source, target)
    )


def _into(model: Candidate, between: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Yield the codes that a model translates from into another language of ``between``."""
    for pair in model.pairs:
        reached: set[str] = set()
        for code in model.spelled(pair.target):
            if code == ANY:
                reached.update(filter(well_formed, between))
            elif _close(between.get(language(code), ()), (code,)):
                reached.add(language(code))
        for code in model.spelled(pair.source):
            if not reached <= {language(code)}:
                yield code


def _close(asked: Iterable[str], offered: Iterable[str]) -> bool:
    """Whether one of some codes is served by one of others."""
    return any(closeness(one, other) is not None for one in asked for other in offered)


def _by_language(codes: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for code in codes:
        found.setdefault(language(code), set()).add(code)
    return found
