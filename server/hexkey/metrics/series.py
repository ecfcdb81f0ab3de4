"""The values of metrics as plain numbers, without the objects that a scrape makes of each.

``prometheus_client`` has no public way to read many series fast, so the names it keeps them under
are used here, and only here; the tests compare what comes out with what it exports itself.
"""

# ruff: noqa: SLF001

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from prometheus_client.metrics import MetricWrapperBase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
    from prometheus_client.registry import Collector
    from prometheus_client.samples import Exemplar

Labels = tuple[str, ...]


def collectors(registry: CollectorRegistry) -> tuple[list[MetricWrapperBase], list[Collector]]:
    """Return the metrics of a registry, and what else collects for it."""
    found = list(registry._collector_to_names)
    metrics = [one for one in found if isinstance(one, MetricWrapperBase)]
    return metrics, [one for one in found if not isinstance(one, MetricWrapperBase)]


def children(metric: MetricWrapperBase) -> list[tuple[Labels, Any]]:
    """Return each series of a metric with its labels' values, in the order of their birth."""
    if not metric._labelnames:
        return [((), metric)]
    return [(tuple(labels), child) for labels, child in metric._metrics.copy().items()]


def value(child: Any) -> float:
    """Return what a counter's or gauge's series stands at."""
    asked = vars(child).get("_child_samples")  # there where a function tells it
    return float(asked()[0].value if asked else child._value._value)


def values(metric: Counter | Gauge) -> Iterator[tuple[Labels, float]]:
    """Yield the labels' values and the value of each series."""
    for labels, child in children(metric):
        yield labels, value(child)


def counts(child: Any) -> list[float]:
    """Return the cumulative counts of a histogram's series, +Inf last."""
    return list(accumulate([one._value for one in child._buckets]))


def total(child: Any) -> float:
    """Return the sum of what a histogram's series observed."""
    return float(child._sum._value)


def exemplars(child: Any) -> list[Exemplar | None]:
    """Return the latest exemplar of each bucket of a histogram's series."""
    return [one._exemplar for one in child._buckets]


def buckets(metric: Histogram) -> Iterator[tuple[Labels, list[float]]]:
    """Yield the labels' values and the cumulative counts of each series' buckets, +Inf last."""
    for labels, child in children(metric):
        yield labels, counts(child)


def names(metric: MetricWrapperBase) -> Labels:
    """Return the names of a metric's labels."""
    return tuple(metric._labelnames)


def edges(child: Any) -> list[float]:
    """Return the upper edges of a histogram's series, +Inf last."""
    return list(child._upper_bounds)


def described(metric: MetricWrapperBase) -> tuple[str, str, str]:
    """Return a metric's name, type and documentation."""
    return metric._name, str(metric._type), metric._documentation
