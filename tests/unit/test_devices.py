"""Devices as people write them: shares, memory, power, and which model is where."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from decimal import Decimal
from typing import cast

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hexkey import power
from hexkey.administration import Administration
from hexkey.billing import Billing
from hexkey.config import Config, ConfigError, CostConfig, DeviceConfig, OwnedConfig, parse_config
from hexkey.cost.price import DEVICE
from hexkey.devices import ENERGY, MONEY, TIME, fixed
from hexkey.engines.supervisor import State
from hexkey.errors import ServeError
from hexkey.metrics import Metrics
from hexkey.pool import Pool
from hexkey.provisioning import specs
from hexkey.residency import Spec
from hexkey.types import ANYBODY

TWO = "devices: [{name: cpu, share: '0.25'}, {name: gpu0, share: '0.75'}]"
MODEL = "{name: m, engine: fake, tasks: [chat]"


def parsed(cost: str, *models: str) -> Config:
    listed = ", ".join(models or (f"{MODEL}, device: cpu}}",))
    return parse_config(f"models: [{listed}]\ncost: {{{cost}}}\n".encode())


def shares(*values: str) -> str:
    listed = ", ".join(f"{{name: d{at}, share: '{one}'}}" for at, one in enumerate(values))
    return f"devices: [{listed}]"


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (
            shares("0.5", "0.4"),
            "cost.devices: the shares must be at least 0 and add up to exactly ",
        ),
        (shares("0.5", "0.4"), "and not to 0.9"),
        (shares("0.5", "0.6"), "and not to 1.1"),
        (shares("-0.5", "1.5"), "cost.devices[0].share: expected a finite number of at least 0"),
        ("devices: [{name: x, share: 1}]", "cost.devices[0].share: expected text"),
        ("devices: [{name: x}]", "cost.devices[0].share: is missing"),
        ("devices: [{name: 'x y', share: '1'}]", "cost.devices[0].name: letters"),
        ("devices: [{name: x, share: '0.5'}, {name: x, share: '0.5'}]", "'x' is there twice"),
        ("devices: [{name: x, share: '1', memory_gib: -1}]", "cost.devices[0].memory_gib: "),
        ("devices: [{name: x, share: '1', watts: lots}]", "cost.devices[0].watts: "),
        ("devices: [{name: x, share: '1', energy: sun}]", "cost.devices[0].energy: expected "),
        (f"watts: '5', {TWO}", "cost.watts: leave it out where devices are given"),
        (f"energy: rapl, {TWO}", "cost.energy: leave it out where devices are given"),
    ],
)
def test_a_device_that_is_none_is_named(cost: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(cost)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second", "fine"),
    [
        ("rapl", "nvml", True),
        ("nvml:0", "nvml:1", True),
        ("rapl+nvml:0", "static+nvml:1", True),
        ("static", "static", True),
        ("nvml", "nvml:1", False),
        ("nvml:1", "nvml:1", False),
        ("rapl", "static+rapl", False),
    ],
)
def test_no_joule_is_counted_twice(first: str, second: str, *, fine: bool) -> None:
    cost = (
        f"devices: [{{name: cpu, share: '0.5', energy: '{first}'}}, "
        f"{{name: gpu, share: '0.5', energy: '{second}'}}]"
    )
    if fine:
        assert len(parsed(cost).cost.devices) == 2
        return
    with pytest.raises(ConfigError, match="is counted more than once"):
        parsed(cost)


@pytest.mark.parametrize(
    ("cost", "model", "said"),
    [
        (TWO, f"{MODEL}}}", "models[0].device: expected one of cpu, gpu0; it is missing"),
        (TWO, f"{MODEL}, device: npu}}", "expected one of cpu, gpu0; found 'npu'"),
        ("", f"{MODEL}, device: cpu}}", "there are no devices to choose from"),
    ],
)
def test_a_model_is_on_a_device_that_is_there(cost: str, model: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(cost, model)
    assert said in str(caught.value)


def test_the_only_device_need_not_be_named() -> None:
    config = parsed("devices: [{name: box, share: '1'}]", f"{MODEL}}}")
    assert [one.device for one in specs(config, {"m": ""})] == ["box"]
    assert [one.device for one in specs(parsed("", f"{MODEL}}}"), {"m": ""})] == [""]


def test_a_machine_without_devices_is_one() -> None:
    billing = Billing(CostConfig(price_per_hour="3.6", watts="10"), ["m"])
    (only,) = billing.devices.values()
    assert (only.name, only.rate, only.energy_source) == (DEVICE, 3_600_000_000_000, "static")


def test_thirds_of_a_price_add_up_to_it() -> None:
    parts = tuple(
        DeviceConfig(name, share)
        for name, share in (("a", "0.333"), ("b", "0.333"), ("c", "0.334"))
    )
    billing = Billing(CostConfig(price_per_hour="0.000000000001", devices=parts))
    assert sum(one.rate for one in billing.devices.values()) == billing.rate == 1


def test_an_owned_machine_draws_what_its_devices_draw() -> None:
    owned = OwnedConfig(capex="0", months=1, price_per_kwh="1")
    parts = (DeviceConfig("cpu", "0.4", watts="100"), DeviceConfig("gpu0", "0.6", watts="300"))
    billing = Billing(CostConfig(owned=owned, devices=parts))
    assert billing.rate == int(Decimal("0.4") * 10**12)


def test_each_device_has_its_own_power(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Gpu:
        def __init__(self, index: int) -> None:
            asked.append(index)

        def read(self) -> int:
            return 0

    monkeypatch.setattr(power, "NvmlReader", Gpu)
    parts = (
        DeviceConfig("cpu", "0.5", watts="36"),
        DeviceConfig("gpu1", "0.5", watts="7.2", energy="static+nvml:1"),
    )
    billing = Billing(CostConfig(devices=parts))
    assert asked == [1]
    pages = billing.pages(ENERGY)
    seconds = billing.pages(TIME)["cpu"].bill / 1e9
    assert pages["cpu"].bill / 1e6 == pytest.approx(36 * seconds, abs=36)
    assert pages["cpu"].bill >= 4 * pages["gpu1"].bill > 0


def test_idle_time_is_shared_by_what_is_declared_of_the_devices_memory() -> None:
    parts = (DeviceConfig("cpu", "0.5"), DeviceConfig("gpu0", "0.5", memory_gib=4))
    billing = Billing(CostConfig(price_per_hour="3600", devices=parts))
    billing.add("big", "big", "gpu0", 3 << 30)
    billing.add("small", "small", "cpu")
    for model in ("big", "small"):
        billing.on_state(model, State.LOADING, None)
        billing.on_state(model, State.READY, os.getpid())
    before = billing.pages(MONEY)
    time.sleep(0.002)
    after = billing.pages(MONEY)
    idle = after["gpu0"].models["big"].idle - before["gpu0"].models["big"].idle
    # Three of four GiB, whatever its host takes of main memory.
    assert idle == pytest.approx(0.75 * (after["gpu0"].bill - before["gpu0"].bill), rel=1e-6)
    assert 0 < after["cpu"].models["small"].idle < after["cpu"].unallocated
    assert "small" not in after["gpu0"].models


async def test_a_reload_moves_models_among_devices_that_are_there_and_to_no_others() -> None:
    before, moved, beyond = (
        parsed(cost, f"{MODEL}, device: {device}}}")
        for cost, device in ((TWO, "cpu"), (TWO, "gpu0"), (TWO.replace("gpu0", "npu"), "npu"))
    )
    told: list[str] = []

    class Models:
        async def replace(self, models: list[Spec]) -> None:
            told.extend(one.device for one in models)

    written = iter([moved, beyond])
    administration = Administration(
        before,
        cast("Pool", Models()),
        Metrics(),
        lambda *_applied: None,
        lambda: next(written),
    )
    assert (await administration.reload()).restart_needed == []
    with pytest.raises(ServeError, match=r"other devices than this server was started with .npu."):
        await administration.reload()
    assert told == ["gpu0"]


def test_a_price_that_changes_holds_from_now_on() -> None:
    parts = (DeviceConfig("cpu", "0.25"), DeviceConfig("gpu0", "0.75"))
    old = CostConfig(price_per_hour="3600", devices=parts)
    billing = Billing(old)
    time.sleep(0.002)
    before = billing.pages(MONEY)
    shares = (DeviceConfig("cpu", "0.5"), DeviceConfig("gpu0", "0.5"))
    new = replace(old, price_per_hour="0", devices=shares, expose="none")
    assert fixed(new) == fixed(old) != fixed(replace(new, devices=parts[:1]))
    billing.reprice(new)
    assert billing.rate == 0
    assert not billing.may_see_cost(ANYBODY)
    closed = billing.pages(MONEY)
    time.sleep(0.002)
    after = billing.pages(MONEY)
    for name in ("cpu", "gpu0"):
        assert 0 < before[name].bill <= closed[name].bill == after[name].bill
        assert after[name].imbalance == 0
    billing.reprice(replace(new, price_per_hour="7200"))
    time.sleep(0.002)
    grown = {name: page.bill - after[name].bill for name, page in billing.pages(MONEY).items()}
    # In even shares now: a euro a second each.
    assert grown["cpu"] == pytest.approx(grown["gpu0"], rel=0.2)
    assert grown["cpu"] >= 2 * 10**9


@pytest.mark.parametrize(
    ("changed", "waits"),
    [
        ("price_per_hour: '2', expose: none", []),
        ("references: [{name: x, as_of: 2026-11-01, requests_per_thousand: '1'}]", []),
        ("currency: EUR", ["cost"]),
        ("watts: '5'", ["cost"]),
    ],
)
async def test_a_reload_says_which_costs_wait_for_a_restart(changed: str, waits: list[str]) -> None:
    class Models:
        async def replace(self, _models: list[Spec]) -> None:
            pass

    administration = Administration(
        parsed("", f"{MODEL}}}"),
        cast("Pool", Models()),
        Metrics(),
        lambda *_applied: None,
        lambda: parsed(changed, f"{MODEL}}}"),
    )
    assert (await administration.reload()).restart_needed == waits


def test_a_scrape_tells_devices_apart() -> None:
    parts = (DeviceConfig("cpu", "0.25"), DeviceConfig("gpu0", "0.75", energy="static"))
    billing = Billing(CostConfig(price_per_hour="4", devices=parts))
    billing.add("a", "a", "cpu")
    billing.add("b", "b", "gpu0")
    metrics = Metrics()
    metrics.watch(billing)
    lines = metrics.render().decode().splitlines()
    assert 'hexkey_device_price_per_hour{device="cpu"} 1.0' in lines
    assert 'hexkey_device_price_per_hour{device="gpu0"} 3.0' in lines
    assert 'hexkey_ledger_imbalance{device="cpu"} 0.0' in lines
    assert 'hexkey_ledger_imbalance{device="gpu0"} 0.0' in lines
    placed = {
        (sample.labels["device"], sample.labels["model"])
        for family in text_string_to_metric_families("\n".join(lines))
        for sample in family.samples
        if sample.name == "hexkey_cost_total"
    }
    assert placed == {("cpu", "a"), ("cpu", "_none"), ("gpu0", "b"), ("gpu0", "_none")}


def test_a_model_that_moves_has_one_series_of_terms() -> None:
    parts = (DeviceConfig("cpu", "0.25"), DeviceConfig("gpu0", "0.75"))
    billing = Billing(CostConfig(devices=parts))
    billing.add("m", "m", "cpu")
    billing.add("m#2", "m", "gpu0")
    terms = [(model, term) for model, term, _ in billing.terms()]
    assert sorted(terms) == [("m", "context"), ("m", "fixed"), ("m", "token")]
