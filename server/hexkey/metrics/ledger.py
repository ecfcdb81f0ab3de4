"""What the devices' ledgers say, as metrics.

Each device's page is of one moment, so its parts add up.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from hexkey.metrics.tenants import OTHER, Names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

    from hexkey.cost.statement import Settled, Statement

NONE = "_none"
"""Label value of what belongs to no model, or to no tenant."""
MAX_TENANTS = 50
MAX_MODELS = 256
"""Models that ever had a place in the books; reloads may bring ever new ones."""
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

    def pages(self, unit: str, *, settled: bool = True) -> dict[str, Statement]:
        """Return one unit's page of each device as of now."""

    def lines(self) -> Iterable[tuple[Settled, int, int]]:
        """Return the lines of settled requests with their money and time."""

    def terms(self) -> Iterator[tuple[str, str, float]]:
        """Yield (model, term, seconds) of how steps are shared."""


KINDS = ("active", "idle", "load", "overhead")


class LedgerCollector(Collector):
    """Reads the pages of all devices at each scrape."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._tenants = Names(MAX_TENANTS)
        self._models = Names(MAX_MODELS)

    def collect(self) -> Iterator[Metric]:
        """Called by the registry at each scrape."""
        books, currency = self._books, self._books.currency
        money = books.pages("money", settled=False)
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
        called = self._models.labels(_by_model(money))
        cost = _family("cost", "Where the bill went.", "device", "model", "kind", "currency")
        for place, amount in _places(money, called).items():
            cost.add_metric([*place, currency], amount / PICO)
        yield cost
        seconds = _family("device_seconds", "Where the time went.", "device", "model", "state")
        for place, amount in _places(books.pages("time", settled=False), called).items():
            seconds.add_metric(place, amount / 1e9)
        yield seconds
        yield from self._settled(called)
        joules = _family(
            "energy_joules", "Where the energy went.", "device", "model", "kind", "source"
        )
        for place, amount in _places(books.pages("energy", settled=False), called).items():
            joules.add_metric([*place, books.devices[place[0]].energy_source], amount / 1e6)
        yield joules
        terms = GaugeMetricFamily(
            "hexkey_attribution_coefficient",
            "How a step is shared: seconds fixed, per token, per token and context.",
            labels=("model", "term"),
        )
        for model, term, value in books.terms():
            if called.get(model) == model:
                terms.add_metric([model, term], value)
        yield terms

    def _settled(self, called: Mapping[str, str]) -> Iterator[Metric]:
        """Yield what settled requests cost and took; thousands of lines, so in one pass."""
        spent: dict[Place, int] = {}
        took: dict[Place, int] = {}
        by_tenant: dict[str, int] = {}
        for (model, (task, tenant), outcome), money, time in self._books.lines():
            place = task, called.get(model, OTHER), outcome
            spent[place] = spent.get(place, 0) + money
            took[place] = took.get(place, 0) + time
            by_tenant[tenant] = by_tenant.get(tenant, 0) + money
        currency = self._books.currency
        tasks = _family(
            "task_cost", "What settled requests cost.", "task", "model", "outcome", "currency"
        )
        for place, amount in spent.items():
            tasks.add_metric([*place, currency], amount / PICO)
        yield tasks
        tenants = _family("tenant_cost", "What settled requests cost.", "tenant", "currency")
        named = {tenant or NONE: amount for tenant, amount in by_tenant.items()}
        for tenant, amount in self._tenants.fold(named).items():
            tenants.add_metric([tenant, currency], amount / PICO)
        yield tenants
        seconds = _family(
            "task_device_seconds", "What settled requests took.", "task", "model", "outcome"
        )
        for place, amount in took.items():
            seconds.add_metric(place, amount / 1e9)
        yield seconds


Place = tuple[str, str, str]


def _places(pages: Mapping[str, Statement], called: Mapping[str, str]) -> Counter[Place]:
    """Return the amounts by device, model and kind."""
    sums = Counter[Place]()
    for device, page in pages.items():
        for model, line in page.models.items():
            for kind in KINDS:
                sums[device, called.get(model, OTHER), kind] += getattr(line, kind)
        sums[device, NONE, "unallocated"] = page.unallocated + page.adjustment
    return sums


def _by_model(pages: Mapping[str, Statement]) -> Counter[str]:
    """Return what each model took, which says how much it matters to tell it apart."""
    sums = Counter[str]()
    for page in pages.values():
        for model, line in page.models.items():
            sums[model] += line.active + line.idle + line.load
    return sums


def _family(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"hexkey_{name}", text, labels=labels)


def _gauge(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"hexkey_{name}", text, labels=("device",))
