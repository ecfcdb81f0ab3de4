"""The ledger on a clock: what a request's steps cost, and that nothing is lost or doubled."""

from __future__ import annotations

import os
import time
from itertools import count

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hexkey.billing import Billing
from hexkey.config import CostConfig, OwnedConfig, ReferenceConfig, parse_config
from hexkey.devices import ENERGY, MONEY, TIME
from hexkey.engines.frames import Step
from hexkey.engines.supervisor import State
from hexkey.metrics import Metrics
from hexkey.types import Caller, Cost, Task, Usage
from tests.unit.requests import request

RENTED = CostConfig(currency="EUR", price_per_hour="3600", watts="100")
ids = count(1)
BIG = "{name: x, as_of: 2026-11-01"
HOSTED = "price_per_hour: '3.6', input_per_second: '8000', output_per_second: '1000'"


def served(config: CostConfig = RENTED) -> Billing:
    billing = Billing(config, ["a", "b"])
    for model in ("a", "b"):
        billing.on_state(model, State.LOADING, None)
        billing.on_state(model, State.READY, os.getpid())
    return billing


def step(billing: Billing, model: str, *keys: int, more: bool = False) -> None:
    begin = time.monotonic_ns()
    time.sleep(0.002)
    computed = [(key, 1, 0) for key in keys]
    billing.on_step(model, Step(1, begin, time.monotonic_ns(), 0, computed), more=more)


def balanced(billing: Billing) -> bool:
    return all(billing.statement(unit).imbalance == 0 for unit in (MONEY, ENERGY, TIME))


def test_a_request_costs_what_its_time_costs() -> None:
    billing = served()
    charge = billing.open("a", Task.CHAT, "")
    charge.join(7)
    step(billing, "a", 7)
    cost = charge.finish(Usage(10, 20))
    assert cost is not None
    # A euro a second and 100 joules a second, for the same time.
    assert cost.pico / 1e12 == pytest.approx(cost.device_seconds, rel=1e-6)
    assert cost.energy_joules == pytest.approx(100 * cost.device_seconds, rel=1e-3)
    assert 0.002 <= cost.device_seconds < 1
    assert float(cost.amount) == pytest.approx(cost.pico / 1e12)
    spent = charge.settle("ok", Usage(10, 20))
    assert spent.money == cost.pico
    assert sum(billing.statement(MONEY).settled.values()) == cost.pico
    assert balanced(billing)


def test_a_host_that_is_done_before_we_have_looked_is_paid_all_the_same() -> None:
    billing = served()
    charge = billing.open("a", Task.CHAT, "")
    sent_ns = time.monotonic_ns()
    time.sleep(0.002)
    done_ns = time.monotonic_ns()
    time.sleep(0.002)
    # On a busy machine the host may get the processor first, and its report is here already.
    charge.join(7, sent_ns)
    billing.on_step("a", Step(1, sent_ns, done_ns, 0, [(7, 1, 0)]), more=False)
    assert charge.settle("ok", Usage()).time == done_ns - sent_ns
    assert balanced(billing)


def test_batch_mates_share_and_waste_stays_visible() -> None:
    billing = served()
    first, second = (billing.open("a", Task.CHAT, "") for _ in range(2))
    first.join(1)
    second.join(2)
    step(billing, "a", 1, 2)
    kept = first.settle("ok", Usage())
    lost = second.settle("cancelled", None)
    assert kept.money == pytest.approx(lost.money, rel=1e-6)
    page = billing.statement(MONEY)
    outcomes = {line.outcome: amount for line, amount in page.settled.items()}
    assert outcomes["cancelled"] == lost.money
    assert balanced(billing)


def test_a_host_that_dies_in_a_step_leaves_its_cost_as_overhead() -> None:
    billing = served()
    charge = billing.open("b", Task.TRANSLATE, "")
    charge.join(1)
    time.sleep(0.002)
    billing.on_state("b", State.BACKOFF, None)
    assert charge.settle("error", None).money == 0
    assert billing.statement(MONEY).models["b"].overhead > 0
    assert balanced(billing)


def test_an_owned_machine_costs_its_wear_and_its_power() -> None:
    owned = OwnedConfig(capex="7305", months=10, price_per_kwh="0.50", pue="1.2")
    billing = Billing(CostConfig(owned=owned, watts="1000"), ["a"])
    assert billing.rate == round((7305 / 7305 + 1.2 * 0.5) * 1e12)


def test_costs_are_told_only_where_there_is_a_price_and_a_will() -> None:
    assert served(CostConfig()).open("a", Task.CHAT, "").finish(Usage()) is None
    plain = request()
    boss = msgspec.structs.replace(plain, caller=Caller(admin=True))
    may_see = {
        expose: [
            served(CostConfig(price_per_hour="1", expose=expose)).may_see_cost(one.caller)
            for one in (plain, boss)
        ]
        for expose in ("all", "admin", "none")
    }
    assert may_see == {"all": [True, True], "admin": [False, True], "none": [False, False]}


def test_references_say_what_others_would_have_taken() -> None:
    text = b"""
models: [{name: m, engine: fake, tasks: [chat]}]
cost:
  references:
    - {name: big, as_of: 2026-11-01, input_per_million: "1", output_per_million: "4"}
    - {name: own, as_of: 2026-11-01, price_per_hour: "3.6", input_per_second: "8000",
       output_per_second: "1000"}
"""
    config = parse_config(text).cost
    assert isinstance(config.references[0], ReferenceConfig)
    spent = Billing(config, ["m"]).open("m", Task.CHAT, "").settle("ok", Usage(1000, 500))
    # The second takes 1000/8000 + 500/1000 seconds of a machine at a thousandth a second.
    assert spent.counterfactual == {"big": 3 * 10**9, "own": 625 * 10**6}


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        ("{price_per_hour: '-1'}", "cost.price_per_hour: "),
        ("{price_per_hour: lots}", "cost.price_per_hour: "),
        ("{price_per_hour: 1.5}", "cost.price_per_hour: expected text"),
        ("{currency: euro}", "cost.currency: "),
        ("{expose: some}", "cost.expose: "),
        ("{owned: {capex: '1', months: 0}}", "cost.owned.months: "),
        ("{owned: {capex: '1', months: 1}, price_per_hour: '1'}", "cost.price_per_hour: "),
        ("{references: [{name: x, as_of: soon}]}", "cost.references[0].as_of: expected a day"),
        ("{energy: sun}", "cost.energy: expected static, rapl, nvml"),
        ("{energy: rapl+rapl}", "cost.energy: "),
        (f"{{references: [{BIG}}}]}}", "cost.references[0]: give prices, of input_per_million, "),
        (
            f"{{references: [{BIG}, input_per_million: '1'}}]}}",
            "cost.references[0]: input_per_million and output_per_million go together",
        ),
        (f"{{references: [{BIG}, price_per_hour: '1'}}]}}", "give price_per_hour with speeds, of "),
        (f"{{references: [{BIG}, input_per_second: '1'}}]}}", "or else price_per_hour with speeds"),
        (f"{{references: [{BIG}, audio_per_minute: '-1'}}]}}", "[0].audio_per_minute: expected"),
        (
            f"{{references: [{BIG}, {HOSTED}, input_per_million: '1'}}]}}",
            "cost.references[0]: give ",
        ),
        (f"{{references: [{BIG}, {HOSTED}, cached_per_million: '1'}}]}}", "or else prices"),
        (
            f"{{references: [{BIG}, {HOSTED.replace('8000', '0')}}}]}}",
            "cost.references[0].input_per_second: must be greater than 0",
        ),
        (f"{{references: [{BIG}, {HOSTED}}}, {BIG}, {HOSTED}}}]}}", "'x' is there twice"),
    ],
)
def test_a_price_that_is_none_is_named(cost: str, said: str) -> None:
    with pytest.raises(Exception, match=said.replace("[", r"\[").replace(".", r"\.")):
        parse_config(f"models: [{{name: m, engine: fake, tasks: [chat]}}]\ncost: {cost}\n".encode())


def test_the_metrics_add_up_to_the_bill() -> None:
    billing = served()
    charge = billing.open("a", Task.CHAT, "")
    charge.join(1)
    step(billing, "a", 1)
    charge.settle("ok", Usage())
    metrics = Metrics()
    metrics.watch(billing)
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            values[sample.name] = values.get(sample.name, 0.0) + sample.value
    assert values["hexkey_ledger_imbalance"] == 0
    total = values["hexkey_cost_total"] + values["hexkey_cost_in_flight"]
    assert total == pytest.approx(values["hexkey_bill_total"], rel=1e-9)
    assert values["hexkey_task_cost_total"] > 0


def test_costs_add_up_exactly() -> None:
    one = Cost(pico=1, currency="USD", device_seconds=0.5, energy_joules=2, counterfactual={"x": 1})
    assert (one + one).pico == 2
    assert (one + one).counterfactual == {"x": 2}
    assert one.amount == "0.000000000001"
