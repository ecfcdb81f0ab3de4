"""Which tenants and models have a name in the ledger's metrics: the largest, the rest together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

OTHER = "_other"


class Names:
    """At most ``limit`` names. Who has one keeps it, since a counter must not fall.

    While there is room everybody gets a name; at the scrape that finds more than that, the largest
    take the last places. The others' sum never falls either: nobody leaves it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._named: set[str] = {OTHER}

    def labels(self, sums: Mapping[str, int]) -> dict[str, str]:
        """Return what each is called, ``OTHER`` where it has no name of its own."""
        room = self._limit + 1 - len(self._named)
        if room > 0:
            new = sorted(sums.keys() - self._named, key=lambda one: (-sums[one], one))
            self._named.update(new[:room])
        return {one: one if one in self._named else OTHER for one in sums}

    def fold(self, sums: Mapping[str, int]) -> dict[str, int]:
        """Return the sums by name, those of who has none added up as ``OTHER``."""
        folded: dict[str, int] = {}
        for one, name in self.labels(sums).items():
            folded[name] = folded.get(name, 0) + sums[one]
        return folded
