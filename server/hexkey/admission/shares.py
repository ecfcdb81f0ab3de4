"""Weighted fair turns, work-conserving.

The manner is that of fair queueing (Demers, Keshav, Shenker 1989; Goyal, Vin, Cheng 1996).
Each key has a tag that grows by cost / weight with every turn it takes; next is the one whose tag
would be lowest after its turn. One that comes anew starts at the tag last served, so nobody saves
up turns by staying away, and one that leaves in debt finds it when it comes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

K = TypeVar("K")
MAX_DEBTS = 1024


class Shares(Generic[K]):
    """Turns among the keys that have something waiting."""

    def __init__(self, weight: Callable[[K], float]) -> None:
        self._weight = weight
        self._tags: dict[K, float] = {}
        self._debts: dict[K, float] = {}
        self._now = 0.0

    @property
    def weight(self) -> float:
        """Of all keys together."""
        return sum(map(self._weight, self._tags))

    def join(self, key: K) -> None:
        """A key has something waiting; no matter if it had before."""
        if key not in self._tags:
            self._tags[key] = max(self._now, self._debts.pop(key, 0.0))

    def leave(self, key: K) -> None:
        """Nothing of a key waits any more."""
        tag = self._tags.pop(key)
        if not self._tags:
            self._debts.clear()
            self._now = 0.0
        elif tag > self._now:
            if len(self._debts) >= MAX_DEBTS:
                self._debts = {one: debt for one, debt in self._debts.items() if debt > self._now}
            if len(self._debts) < MAX_DEBTS:
                self._debts[key] = tag

    def next(self, among: Iterable[K], cost: Callable[[K], float]) -> K:
        """Return whose turn it is among some of the keys; the earlier in order of equals.

        ``cost`` is what the next turn of each would be charged.
        """
        return min(among, key=lambda key: self._tags[key] + cost(key) / self._weight(key))

    def charge(self, key: K, cost: float) -> None:
        """A key takes its turn."""
        self._now = max(self._now, self._tags[key])
        self._tags[key] += cost / self._weight(key)
