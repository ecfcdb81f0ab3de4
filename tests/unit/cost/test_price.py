"""Prices: what is written becomes whole pico-units, and a bill never drifts."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.cost.price import (
    HOUR_NS,
    PICO,
    Bill,
    Owned,
    Rented,
    decimal,
    device_rates,
    machine_rate,
    pico,
    seconds,
)

RATES = st.integers(0, 1000 * PICO)
TIMES = st.integers(0, 10**18)


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "-0", "NaN", "Infinity", "1e99", "1e-99", "1" * 40]
)
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        decimal(text)


def test_a_quoted_price_is_exact() -> None:
    assert machine_rate(Rented(decimal("0.40"))) == 400_000_000_000
    assert pico(decimal("0.0000000000019")) == 1


def test_an_owned_machine_costs_wear_upkeep_and_power() -> None:
    price = Owned(
        capex=Decimal(10000),
        residual=Decimal(1000),
        months=48,
        opex_per_hour=Decimal("0.05"),
        watts=Decimal(400),
        pue=Decimal("1.5"),
        price_per_kwh=Decimal("0.30"),
    )
    expected = Fraction(9000) / (48 * Fraction("730.5")) + Fraction("0.05") + Fraction("0.18")
    assert machine_rate(price) == expected * PICO // 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"months": 0}, "months"),
        ({"residual": Decimal(2)}, "residual"),
        ({"pue": Decimal("0.9")}, "pue"),
        ({"watts": Decimal(-1)}, "watts"),
    ],
)
def test_a_machine_that_cannot_be_is_refused(wrong: dict[str, object], message: str) -> None:
    values: dict[str, object] = {"capex": Decimal(1), "months": 1}
    with pytest.raises(ValueError, match=message):
        Owned(**(values | wrong))  # type: ignore[arg-type]


@given(rate=RATES, weights=st.lists(st.integers(0, 1000), min_size=1, max_size=6))
def test_devices_share_the_whole_rate(rate: int, weights: list[int]) -> None:
    shares = {str(i): Decimal(w) / 1000 for i, w in enumerate(weights)}
    shares["rest"] = 1 - sum(shares.values(), Decimal(0))
    if shares["rest"] < 0:
        with pytest.raises(ValueError, match="exactly 1"):
            device_rates(rate, shares)
        return
    rates = device_rates(rate, shares)
    assert sum(rates.values()) == rate
    assert all(abs(rates[one] - rate * Fraction(shares[one])) < 1 for one in shares)


def test_shares_that_leave_something_over_are_refused() -> None:
    with pytest.raises(ValueError, match="exactly 1"):
        device_rates(1, {"cpu": Decimal("0.9")})
    with pytest.raises(ValueError, match="exactly 1"):
        device_rates(1, {})


@given(rate=RATES, epoch=TIMES, times=st.lists(TIMES, min_size=2, max_size=20))
def test_a_bill_read_often_is_the_bill_read_once(rate: int, epoch: int, times: list[int]) -> None:
    bill = Bill(rate, epoch)
    readings = [bill.total(at) for at in sorted(times)]
    steps = [b - a for a, b in pairwise(readings)]
    assert min(steps) >= 0
    assert sum(steps) == bill.total(max(times)) - bill.total(min(times))
    assert bill.total(epoch) == 0
    assert bill.total(epoch + HOUR_NS) == rate


@given(rates=st.lists(RATES, min_size=2, max_size=8), hours=st.integers(1, 50))
def test_a_price_change_closes_the_epoch(rates: list[int], hours: int) -> None:
    bill = Bill(rates[0], 0)
    for number, rate in enumerate(rates[1:], 1):
        before = bill.total(number * hours * HOUR_NS)
        bill.reprice(rate, number * hours * HOUR_NS)
        assert bill.rate == rate
        assert bill.total(number * hours * HOUR_NS) == before
    assert bill.total(len(rates) * hours * HOUR_NS) == sum(rates) * hours


def test_time_is_a_bill_of_one_a_nanosecond() -> None:
    assert seconds(7).total(1007) == 1000
