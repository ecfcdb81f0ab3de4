"""Everything the page needs as totals since the start, all read at one moment."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hexkey.cost.statement import together
from hexkey.devices import MONEY, TIME
from hexkey.metering import Outcome
from hexkey.metrics import series

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Counter, Histogram

    from hexkey.cost.statement import Statement
    from hexkey.metrics import Metrics
    from hexkey.pool import Pool

KINDS = ("active", "idle", "load", "overhead", "unallocated")
"""Where the bill goes; ``in_flight`` will be one of them as soon as its step is over."""
OK = Outcome.OK.value

Sums = dict[str, float]


@dataclass(frozen=True, slots=True)
class Places:
    """Where one unit of a ledger went, and what of it was for nothing."""

    bill: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)
    settled: int = 0
    wasted: int = 0

    @classmethod
    def of(cls, page: Statement) -> Places:
        """Return the places of a page of the ledger."""
        lines = page.models
        kinds = {kind: sum(getattr(one, kind) for one in lines.values()) for kind in KINDS[:-1]}
        kinds["unallocated"] = page.unallocated + page.adjustment
        wasted = sum(amount for line, amount in page.settled.items() if line.outcome != OK)
        return cls(
            bill=page.bill,
            kinds=kinds,
            models={name: one.active + one.in_flight for name, one in lines.items()},
            settled=sum(page.settled.values()),
            wasted=wasted,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """Totals at ``at_ns`` on ``time.monotonic_ns()``; an empty one is how a server starts.

    ``outcomes`` is by (task, outcome). ``duration`` and ``first_token`` hold, by task, the
    cumulative buckets of what went well, since the rest says nothing of speed. ``devices`` holds
    each one's money and time, of which ``money`` and ``time`` are the sums.
    """

    at_ns: int
    outcomes: dict[tuple[str, str], float] = field(default_factory=dict)
    model_requests: Sums = field(default_factory=dict)
    model_tokens: Sums = field(default_factory=dict)
    restarts: Sums = field(default_factory=dict)
    duration: dict[str, list[float]] = field(default_factory=dict)
    first_token: dict[str, list[float]] = field(default_factory=dict)
    counterfactual: Sums = field(default_factory=dict)
    money: Places = field(default_factory=Places)
    time: Places = field(default_factory=Places)
    devices: dict[str, tuple[Places, Places]] = field(default_factory=dict)


def read(metrics: Metrics, pool: Pool) -> Reading:
    """Return the totals of now. It takes milliseconds where there are thousands of series."""
    outcomes: dict[tuple[str, str], float] = {}
    model_requests: Sums = {}
    for (task, model, outcome, _), count in series.values(metrics.requests):
        outcomes[task, outcome] = outcomes.get((task, outcome), 0.0) + count
        model_requests[model] = model_requests.get(model, 0.0) + count
    money, seconds = pool.billing.pages(MONEY), pool.billing.pages(TIME)
    tokens = ((labels[1:], count) for labels, count in series.values(metrics.tokens))
    return Reading(
        at_ns=time.monotonic_ns(),
        outcomes=outcomes,
        model_requests=model_requests,
        model_tokens=_sums(((m,), count) for (m, way), count in tokens if way == "output"),
        restarts=_sums(_all(metrics.engine_restarts)),
        duration=_by_task(metrics.request_duration),
        first_token=_by_task(metrics.time_to_first_token),
        counterfactual=_sums(_all(metrics.counterfactual)),
        money=Places.of(together(money.values())),
        time=Places.of(together(seconds.values())),
        devices={name: (Places.of(money[name]), Places.of(seconds[name])) for name in money},
    )


def _all(metric: Counter) -> Iterator[tuple[series.Labels, float]]:
    return series.values(metric)


def _sums(found: Iterator[tuple[series.Labels, float]]) -> Sums:
    """Add up by the first label."""
    sums: Sums = {}
    for (first, *_), count in found:
        sums[first] = sums.get(first, 0.0) + count
    return sums


def _by_task(metric: Histogram) -> dict[str, list[float]]:
    sums: dict[str, list[float]] = {}
    for (task, _, outcome, _), counts in series.buckets(metric):
        if outcome == OK:
            before = sums.get(task)
            sums[task] = (
                counts if before is None else list(map(sum, zip(before, counts, strict=True)))
            )
    return sums
