"""Where a device's bill went, or that of several: one page per unit, which must add up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


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

    def __add__(self, other: ModelLine) -> ModelLine:
        """Both parts of a model that two devices have."""
        return ModelLine(
            self.active + other.active,
            self.idle + other.idle,
            self.load + other.load,
            self.overhead + other.overhead,
            self.in_flight + other.in_flight,
        )


@dataclass(frozen=True, slots=True)
class Statement:
    """One unit of a device's ledger at ``at_ns``.

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


def together(pages: Collection[Statement]) -> Statement:
    """Return the page of several devices, at least one: every amount is the sum of theirs.

    What each page balances they balance together. ``at_ns`` is the latest of them.
    """
    models: dict[str, ModelLine] = {}
    settled: dict[Settled, int] = {}
    for page in pages:
        for model, line in page.models.items():
            models[model] = models[model] + line if model in models else line
        for group, amount in page.settled.items():
            settled[group] = settled.get(group, 0) + amount
    return Statement(
        at_ns=max(page.at_ns for page in pages),
        bill=sum(page.bill for page in pages),
        models=models,
        settled=settled,
        unallocated=sum(page.unallocated for page in pages),
        adjustment=sum(page.adjustment for page in pages),
    )
