"""Which tenants have a name in the metrics: the largest ones, the rest together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

OTHER = "_other"


class Names:
    """At most ``limit`` names. Who has one keeps it, since a counter must not fall.

    While there is room everybody gets a name; at the scrape that finds more tenants than that, the
    largest take the last places. The others' sum never falls either: nobody leaves it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._named: set[str] = {OTHER}

    def fold(self, sums: Mapping[str, int]) -> dict[str, int]:
        """Return the sums by name, those of tenants without one added up as ``OTHER``."""
        room = self._limit + 1 - len(self._named)
        if room > 0:
            new = sorted(sums.keys() - self._named, key=lambda one: (-sums[one], one))
            self._named.update(new[:room])
        folded: dict[str, int] = {}
        for tenant, amount in sums.items():
            name = tenant if tenant in self._named else OTHER
            folded[name] = folded.get(name, 0) + amount
        return folded
