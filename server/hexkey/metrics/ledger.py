"""What a device's ledger says, as metrics: each page is consistent in itself, so parts add up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from hexkey.metrics.tenants import Names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from hexkey.cost.statement import Statement

DEVICE = "machine"
NONE = "_none"
"""Label value of what belongs to no model, or to no tenant."""
MAX_TENANTS = 50
PICO = 10**12
"""Pico-units in one unit of currency; the ledger counts in those."""


class Books(Protocol):
    """A device's ledger as metrics read it; see ``hexkey.billing.Billing``."""

    currency: str
    energy_source: str
    rate: int

    def statement(self, unit: str) -> Statement:
        """Return one unit's page as of now."""

    def terms(self) -> Iterator[tuple[str, str, float]]:
        """Yield (model, term, seconds) of how steps are shared."""


KINDS = ("active", "idle", "load", "overhead")


class LedgerCollector(Collector):
    """Reads the pages of one ledger at each scrape."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._tenants = Names(MAX_TENANTS)

    def collect(self) -> Iterator[Metric]:
        """Called by the registry at each scrape."""
        books = self._books
        money = books.statement("money")
        device, currency = DEVICE, books.currency
        yield _counter("bill", "What the device cost.", money.bill / PICO, device, currency)
        yield _gauge("cost_in_flight", "Cost of open steps.", money.in_flight / PICO, device)
        yield _gauge("ledger_imbalance", "Pico-units in no place or two.", money.imbalance, device)
        yield _gauge("device_price_per_hour", "Price.", books.rate / PICO, device)
        cost = _family("cost", "Where the bill went.", "device", "model", "kind", "currency")
        for model, kind, amount in _places(money):
            cost.add_metric([device, model, kind, currency], amount / PICO)
        yield cost
        tasks = _family(
            "task_cost", "What settled requests cost.", "task", "model", "outcome", "currency"
        )
        for line, amount in _by_task(money).items():
            tasks.add_metric([*line, currency], amount / PICO)
        yield tasks
        tenants = _family("tenant_cost", "What settled requests cost.", "tenant", "currency")
        for tenant, amount in self._tenants.fold(_by_tenant(money)).items():
            tenants.add_metric([tenant, currency], amount / PICO)
        yield tenants
        time = books.statement("time")
        seconds = _family("device_seconds", "Where the time went.", "device", "model", "state")
        for model, kind, amount in _places(time):
            seconds.add_metric([device, model, kind], amount / 1e9)
        yield seconds
        spent = _family(
            "task_device_seconds", "What settled requests took.", "task", "model", "outcome"
        )
        for line, amount in _by_task(time).items():
            spent.add_metric(line, amount / 1e9)
        yield spent
        joules = _family(
            "energy_joules", "Where the energy went.", "device", "model", "kind", "source"
        )
        for model, kind, amount in _places(books.statement("energy")):
            joules.add_metric([device, model, kind, books.energy_source], amount / 1e6)
        yield joules
        terms = GaugeMetricFamily(
            "hexkey_attribution_coefficient",
            "How a step is shared: seconds fixed, per token, per token and context.",
            labels=("model", "term"),
        )
        for model, term, value in books.terms():
            terms.add_metric([model, term], value)
        yield terms


def _places(page: Statement) -> Iterator[tuple[str, str, int]]:
    for model, line in page.models.items():
        for kind in KINDS:
            yield model, kind, getattr(line, kind)
    yield NONE, "unallocated", page.unallocated + page.adjustment


def _by_task(page: Statement) -> dict[tuple[str, str, str], int]:
    sums: dict[tuple[str, str, str], int] = {}
    for line, amount in page.settled.items():
        key = (line.group.task, line.model, line.outcome)
        sums[key] = sums.get(key, 0) + amount
    return sums


def _by_tenant(page: Statement) -> dict[str, int]:
    sums: dict[str, int] = {}
    for line, amount in page.settled.items():
        tenant = line.group.tenant or NONE
        sums[tenant] = sums.get(tenant, 0) + amount
    return sums


def _family(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"hexkey_{name}", text, labels=labels)


def _counter(name: str, text: str, value: float, device: str, currency: str) -> Metric:
    family = _family(name, text, "device", "currency")
    family.add_metric([device, currency], value)
    return family


def _gauge(name: str, text: str, value: float, device: str) -> Metric:
    family = GaugeMetricFamily(f"hexkey_{name}", text, labels=("device",))
    family.add_metric([device], value)
    return family
