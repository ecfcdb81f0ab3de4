"""Whatever callers send and however long a server runs, there are only so many series."""

from __future__ import annotations

import random

from prometheus_client.parser import text_string_to_metric_families

from hexkey.billing import Billing
from hexkey.config import CostConfig
from hexkey.errors import ServeError, invalid
from hexkey.metering import Meter
from hexkey.metrics import (
    MAX_ENGINES,
    MAX_KINDS,
    MAX_MODELS,
    MAX_TENANTS,
    NONE,
    OTHER,
    Metrics,
)
from hexkey.types import Task
from tests.unit.requests import request

MANY = 10_000


def count(metrics: Metrics) -> int:
    return len(metrics.render().splitlines())


def test_names_that_callers_make_up_add_no_series() -> None:
    metrics = Metrics()
    billing = Billing(CostConfig(price_per_hour="1"), ["m"])
    metrics.watch(billing)
    pick = random.Random(1)  # noqa: S311 - a seed, so that it fails alike each time
    sizes = []
    for number in range(MANY):
        name = f"made-up-{pick.getrandbits(64):x}"
        Meter(metrics, request(model=name)).settle(unknown(name))
        charge = billing.open("m", Task.CHAT, name)
        charge.settle("ok", None)
        if number in {MAX_TENANTS, MANY - 1}:
            sizes.append(count(metrics))
    # The one more is the tenants' _other.
    assert sizes[1] - sizes[0] <= 1
    text = metrics.render().decode()
    assert f'model="{NONE}"' in text
    assert text.count("\nhexkey_tenant_cost_total{") == MAX_TENANTS + 1
    assert 'model="made-up' not in text


def test_models_of_years_of_reloads_are_bounded_in_the_books_as_well() -> None:
    metrics = Metrics()
    billing = Billing(CostConfig(price_per_hour="1"), ["m0"])
    metrics.watch(billing)
    for number in range(MAX_MODELS + 100):
        name = f"m{number}"
        billing.add(name, name)
        charge = billing.open(name, Task.CHAT, "")
        charge.join(number)
        charge.settle("ok", None)
        billing.retire(name)
    places = set[str]()
    total = {"hexkey_bill_total": 0.0, "hexkey_cost_total": 0.0, "hexkey_cost_in_flight": 0.0}
    for family in text_string_to_metric_families(metrics.render().decode()):
        seen = [tuple(sorted(one.labels.items())) for one in family.samples]
        assert len(seen) == len(set(seen)) or family.type == "histogram", family.name
        for sample in family.samples:
            total[sample.name] = total.get(sample.name, 0.0) + sample.value
            if sample.name == "hexkey_cost_total":
                places.add(sample.labels["model"])
    assert len(places) == MAX_MODELS + 2
    assert {NONE, OTHER} <= places
    booked = total["hexkey_cost_total"] + total["hexkey_cost_in_flight"]
    assert abs(total["hexkey_bill_total"] - booked) <= 1e-12


def unknown(name: str) -> ServeError:
    return invalid(f"there is no model {name}")


def test_models_that_come_and_go_for_years_are_bounded() -> None:
    metrics = Metrics()
    for number in range(MANY):
        metrics.of_request("chat", f"m{number}", "ok", "http").requests.inc()
        metrics.of_engine(f"m{number}").running.set(1)
    lines = metrics.render().decode().splitlines()
    requests = [one for one in lines if one.startswith("hexkey_requests_total{")]
    assert len(requests) == MAX_KINDS + 1
    left = next(one for one in requests if f'model="{OTHER}"' in one)
    assert float(left.rpartition(" ")[2]) == MANY - MAX_KINDS
    running = [one for one in lines if one.startswith("hexkey_engine_running{")]
    assert len(running) == MAX_ENGINES + 1
