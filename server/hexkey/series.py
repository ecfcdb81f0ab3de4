"""The values of metrics as plain numbers, without the objects that a scrape makes of each.

``prometheus_client`` has no public way to read many series fast, so the names it keeps them under
are used here, and only here; the tests compare what comes out with what it exports itself.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Counter, Gauge, Histogram

Labels = tuple[str, ...]


def children(metric: Counter | Gauge | Histogram) -> list[tuple[Labels, Any]]:
    """Return each series of a metric with its labels' values, in the order of their birth."""
    found = metric._metrics.copy()  # noqa: SLF001 - see above
    return [(tuple(labels), child) for labels, child in found.items()]


def values(metric: Counter | Gauge) -> Iterator[tuple[Labels, float]]:
    """Yield the labels' values and the value of each series."""
    for labels, child in children(metric):
        yield labels, child._value._value  # noqa: SLF001 - see above


def buckets(metric: Histogram) -> Iterator[tuple[Labels, list[float]]]:
    """Yield the labels' values and the cumulative counts of each series' buckets, +Inf last."""
    for labels, child in children(metric):
        yield labels, list(accumulate(one._value for one in child._buckets))  # noqa: SLF001
