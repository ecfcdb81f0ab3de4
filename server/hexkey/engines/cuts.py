"""Where an output ends: what a finder of ends is, and the finder of stop strings.

A finder reads one output, piece by piece, and names the first *cut*. It reads every character once
and never looks back, so how the text was split cannot matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Cut(NamedTuple):
    """After ``decided`` characters of an output it is certain to end ``at``; ``at <= decided``.

    ``stop`` is the stop string that ends it, if one does.
    """

    decided: int
    at: int
    stop: str = ""


class Finder(Protocol):
    """Finds the first cut of one output; not used any more once it has."""

    def scan(self, text: str) -> Cut | None:
        """Read on; positions count characters from the output's beginning."""

    @property
    def hold(self) -> int | None:
        """The first position that what follows may yet make a cut."""

    def end(self) -> int | None:
        """Where the output is cut now that nothing follows, None for nowhere."""


class StopStrings:
    """Cuts before the stop string that is complete first; of several, the one that began first."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._tail = ""
        self._at = 0

    def scan(self, text: str) -> Cut | None:
        """Search what was held and ``text``."""
        window = self._tail + text
        best: Cut | None = None
        for stop in self._stops:
            found = window.find(stop)
            if found >= 0:
                cut = Cut(self._at + found + len(stop), self._at + found, stop)
                best = cut if best is None else min(best, cut)
        kept = min((_partial(stop, window) for stop in self._stops), default=len(window))
        self._tail = window[kept:]
        self._at += kept
        return best

    @property
    def hold(self) -> int | None:
        """Where a stop string may have begun."""
        return self._at if self._tail else None

    def end(self) -> int | None:
        """Half a stop string is text."""
        return None


def _partial(stop: str, window: str) -> int:
    """Where the longest end of ``window`` begins that could grow into ``stop``."""
    at = window.find(stop[0], max(0, len(window) - len(stop) + 1))
    while at >= 0 and not stop.startswith(window[at:]):
        at = window.find(stop[0], at + 1)
    return len(window) if at < 0 else at
