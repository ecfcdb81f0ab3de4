"""The ways from one language to another over a catalog: straight, or through a third language."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

from hexkey.routing.candidates import ANY
from hexkey.routing.languages import closeness, language
from hexkey.routing.plan import Leg, Route

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hexkey.routing.candidates import Candidate, Match

KEPT = 512
"""Answers of ``ways`` that are remembered; to look at a hundred pairs takes a quarter of a ms."""
MAX_PIVOTS = 16
"""Most ways through other languages that are looked at for one request, the closest first."""


@lru_cache(maxsize=KEPT)
def ways(
    models: tuple[Candidate, ...], source: str, target: str, *, pivot: bool
) -> tuple[Route, ...]:
    """Return every way from one language to another; remembered for those asked for last.

    Ways of two legs, with ``pivot`` only, avoid the models that go straight: where one of these is
    down they lead around it. Only where nothing goes straight may a leg be any model's.
    """
    found = straight(models, source, target)
    if not (pivot and source and target):
        return tuple(found)
    direct = {route.model for route in found}
    around = tuple(one for one in models if one.name not in direct)
    return (*found, *pivoted(around, source, target))


def straight(models: Sequence[Candidate], source: str, target: str) -> list[Route]:
    """Return the ways of one leg, in the catalog's order."""
    found = []
    for model in models:
        match = model.match(source, target)
        if match is not None:
            found.append(Route((Leg(model.name, match.pair),), match.distance))
    return found


def pivoted(models: Sequence[Candidate], source: str, target: str) -> list[Route]:
    """Return the ways of two legs, the closest first, at most ``MAX_PIVOTS``.

    The language between is none of the two, and both legs' codes of it go together. A language
    that stands for all (``ANY``) becomes the other leg's.
    """
    ends = {language(source), language(target)}
    if len(ends) == 1:
        return []
    first: dict[str, list[tuple[Candidate, Match]]] = {}
    second: dict[str, list[tuple[Candidate, Match]]] = {}
    for model in models:
        for match in model.matches(source, None):
            first.setdefault(language(match.pair.target), []).append((model, match))
        for match in model.matches(None, target):
            second.setdefault(language(match.pair.source), []).append((model, match))
    found = []
    for one, other in _joined(first, second, ends):
        route = _join(*one, *other)
        if route is not None:
            found.append(route)
    return sorted(found, key=lambda route: route.distance)[:MAX_PIVOTS]


def _joined(
    first: dict[str, list[tuple[Candidate, Match]]],
    second: dict[str, list[tuple[Candidate, Match]]],
    ends: set[str],
) -> Iterator[tuple[tuple[Candidate, Match], tuple[Candidate, Match]]]:
    for middle, ways in first.items():
        if middle in ends:
            continue
        if middle == ANY:
            onward = [
                one for code, them in second.items() if code not in {ANY, *ends} for one in them
            ]
        else:
            onward = second.get(middle, []) + second.get(ANY, [])
        yield from product(ways, onward)


def _join(a: Candidate, one: Match, b: Candidate, other: Match) -> Route | None:
    into, out_of = one.pair.target, other.pair.source
    apart = 0
    if ANY not in {into, out_of}:
        between = closeness(into, out_of)
        if between is None:
            return None
        apart = between
    into, out_of = (
        language(out_of) if into == ANY else into,
        language(into) if out_of == ANY else out_of,
    )
    legs = (
        Leg(a.name, type(one.pair)(one.pair.source, into)),
        Leg(b.name, type(other.pair)(out_of, other.pair.target)),
    )
    return Route(legs, one.distance + other.distance + apart)
