"""What the router chooses from: models, and the directions in which they translate."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from hexkey.routing.languages import CODE, closeness, language, well_formed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hexkey.types import Task

ANY = "*"
"""Stands for every language of a model or, where it lists none, for every language there is."""
_PAIR = re.compile(rf"(\*|{CODE})-(\*|{CODE})")


@dataclass(frozen=True, slots=True)
class Pair:
    """A direction of translation; codes are BCP 47 as ``languages.normal`` writes them."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}-{self.target}"


def parse_pair(text: str) -> Pair:
    """Return a pair as configurations write it: ``en-pt``, ``en-pt-BR``, ``*-en``.

    ``ValueError`` for what is no pair.
    """
    found = _PAIR.fullmatch(text)
    if found is None:
        raise ValueError(
            f"expected two language codes such as en-pt or en-pt-BR, or * for any, found {text!r}"
        )
    return Pair(found[1], found[2])


@dataclass(frozen=True, slots=True)
class Match:
    """A direction of a model that serves one that was asked for.

    ``distance`` is 0 where both languages are exactly those, and grows with each part of a code
    that had to be left out or added.
    """

    pair: Pair
    distance: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model as the router sees it.

    A pair may hold ``ANY``; ``languages`` says what that stands for. ``labels`` are the
    operator's, such as the region that the model runs in.
    """

    name: str
    tasks: frozenset[Task]
    pairs: tuple[Pair, ...] = ()
    languages: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    def match(self, source: str, target: str) -> Match | None:
        """Return the closest direction that serves ``source`` to ``target``, if any.

        An empty ``source`` fits every direction that names its own.
        """
        if not target:
            return None
        return min(self.matches(source, target), key=lambda one: one.distance, default=None)

    def matches(self, source: str | None, target: str | None) -> Iterator[Match]:
        """Yield the directions that serve ``source`` to ``target``; None fits whatever is there."""
        for pair in self.pairs:
            # A model of many languages does not translate one into itself.
            wild = ANY in {pair.source, pair.target}
            targets = self._side(pair.target, target)
            for from_, before in self._side(pair.source, source) if targets else ():
                for to, after in targets:
                    if wild and from_ != ANY and language(from_) == language(to):
                        continue
                    yield Match(Pair(from_, to), before + after)

    def directions(self) -> Iterator[Pair]:
        """Yield every direction; ``ANY`` is left only where it stands for all languages."""
        for match in self.matches(None, None):
            yield match.pair

    def spelled(self, code: str) -> tuple[str, ...]:
        """Return the codes that a side of a pair stands for."""
        return self.languages if code == ANY and self.languages else (code,)

    def _side(self, offered: str, asked: str | None) -> list[tuple[str, int]]:
        """Return the model's codes that serve a language, each with how far it is from that."""
        if asked is None or (not asked and offered != ANY):
            return [(code, 0) for code in self.spelled(offered)]
        plain = language(asked)
        if offered == ANY and not self.languages:
            # Nobody knows what codes it has beyond the plain ones.
            return [(plain, int(asked != plain))] if well_formed(plain) else []
        codes = _by_language(self.languages).get(plain, ()) if offered == ANY else (offered,)
        distances = [(code, closeness(asked, code)) for code in codes]
        return [(code, distance) for code, distance in distances if distance is not None]


@lru_cache(1024)
def _by_language(codes: tuple[str, ...]) -> dict[str, list[str]]:
    """Return a model's codes by what they are of, since some models have hundreds."""
    found: dict[str, list[str]] = {}
    for code in codes:
        found.setdefault(language(code), []).append(code)
    return found
