"""What the devices' ledgers say, as metrics.

Each device's page is of one moment, so its parts add up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from hexkey.cost.statement import together
from hexkey.metrics.tenants import Names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.core import Metric

    from hexkey.cost.statement import Statement

NONE = "_none"
"""Label value of what belongs to no model, or to no tenant."""
MAX_TENANTS = 50
PICO = 10**12
"""Pico-units in one unit of currency; the ledger counts in those."""


class Priced(Protocol):
    """A device: pico-units an hour, and where its energy is known from."""

    @property
    def rate(self) -> int:
        """Pico-units of money an hour."""

    @property
    def energy_source(self) -> str:
        """As ``cost.energy`` names it."""


class Books(Protocol):
    """The devices' ledgers as metrics read them; see ``hexkey.billing.Billing``."""

    currency: str

    @property
    def devices(self) -> Mapping[str, Priced]:
        """The devices by name."""

    def pages(self, unit: str) -> dict[str, Statement]:
        """Return one unit's page of each device as of now."""

    def terms(self) -> Iterator[tuple[str, str, float]]:
        """Yield (model, term, seconds) of how steps are shared."""


KINDS = ("active", "idle", "load", "overhead")


class LedgerCollector(Collector):
    """Reads the pages of all devices at each scrape."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._tenants = Names(MAX_TENANTS)

    def collect(self) -> Iterator[Metric]:
        """Called by the registry at each scrape."""
        books, currency = self._books, self._books.currency
        money = books.pages("money")
        bill = _family("bill", "What the device cost.", "device", "currency")
        in_flight = _gauge("cost_in_flight", "Cost of open steps.")
        imbalance = _gauge("ledger_imbalance", "Pico-units in no place or two.")
        price = _gauge("device_price_per_hour", "Price.")
        for device, page in money.items():
            bill.add_metric([device, currency], page.bill / PICO)
            in_flight.add_metric([device], page.in_flight / PICO)
            imbalance.add_metric([device], page.imbalance)
            price.add_metric([device], books.devices[device].rate / PICO)
        yield from (bill, in_flight, imbalance, price)
        cost = _family("cost", "Where the bill went.", "device", "model", "kind", "currency")
        for device, model, kind, amount in _places(money):
            cost.add_metric([device, model, kind, currency], amount / PICO)
        yield cost
        whole = together(money.values())
        tasks = _family(
            "task_cost", "What settled requests cost.", "task", "model", "outcome", "currency"
        )
        for line, amount in _by_task(whole).items():
            tasks.add_metric([*line, currency], amount / PICO)
        yield tasks
        tenants = _family("tenant_cost", "What settled requests cost.", "tenant", "currency")
        for tenant, amount in self._tenants.fold(_by_tenant(whole)).items():
            tenants.add_metric([tenant, currency], amount / PICO)
        yield tenants
        time = books.pages("time")
        seconds = _family("device_seconds", "Where the time went.", "device", "model", "state")
        for device, model, kind, amount in _places(time):
            seconds.add_metric([device, model, kind], amount / 1e9)
        yield seconds
        spent = _family(
            "task_device_seconds", "What settled requests took.", "task", "model", "outcome"
        )
        for line, amount in _by_task(together(time.values())).items():
            spent.add_metric(line, amount / 1e9)
        yield spent
        joules = _family(
            "energy_joules", "Where the energy went.", "device", "model", "kind", "source"
        )
        for device, model, kind, amount in _places(books.pages("energy")):
            source = books.devices[device].energy_source
            joules.add_metric([device, model, kind, source], amount / 1e6)
        yield joules
        terms = GaugeMetricFamily(
            "hexkey_attribution_coefficient",
            "How a step is shared: seconds fixed, per token, per token and context.",
            labels=("model", "term"),
        )
        for model, term, value in books.terms():
            terms.add_metric([model, term], value)
        yield terms


def _places(pages: Mapping[str, Statement]) -> Iterator[tuple[str, str, str, int]]:
    for device, page in pages.items():
        for model, line in page.models.items():
            for kind in KINDS:
                yield device, model, kind, getattr(line, kind)
        yield device, NONE, "unallocated", page.unallocated + page.adjustment


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


def _gauge(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"hexkey_{name}", text, labels=("device",))
