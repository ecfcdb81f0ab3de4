"""Where a device's bill went: one page per unit, which must add up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Group(NamedTuple):
    """What a request is counted under once it is settled; both from bounded sets."""

    task: str
    tenant: str


class Settled(NamedTuple):
    """A line of settled requests."""

    model: str
    group: Group
    outcome: str


@dataclass(frozen=True, slots=True)
class ModelLine:
    """One model's part; ``active`` is what its requests cost, settled or not."""

    active: int
    idle: int
    load: int
    overhead: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class Statement:
    """One unit of one device's ledger at ``at_ns``.

    ``settled`` is the part of ``active`` whose requests have ended. ``adjustment`` holds what the
    bill was before this ledger began and what was corrected by hand; it alone may be negative.
    """

    at_ns: int
    bill: int
    models: Mapping[str, ModelLine]
    settled: Mapping[Settled, int]
    unallocated: int
    adjustment: int

    @property
    def in_flight(self) -> int:
        """What open steps have cost so far."""
        return sum(one.in_flight for one in self.models.values())

    @property
    def imbalance(self) -> int:
        """What of the bill is in no place, or in two; 0 at every instant."""
        models = sum(
            one.active + one.idle + one.load + one.overhead + one.in_flight
            for one in self.models.values()
        )
        return self.bill - models - self.unallocated - self.adjustment
