"""Counterfactuals: what the same request would have cost on a named reference."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.cost.counterfactual import PriceList, SelfHosted
from hexkey.cost.price import PICO

AS_OF = dt.date(2026, 11, 1)
LIST = PriceList("big", AS_OF, Decimal("2.50"), Decimal(10), Decimal("1.25"))
HOSTED = SelfHosted("own", Decimal("3.60"), Decimal(10_000), Decimal(100))
TOKENS = st.integers(0, 10**7)


def test_a_price_list_counts_per_million() -> None:
    assert LIST.cost(1_000_000, 0) == 2_500_000_000_000
    assert LIST.cost(0, 1) == 10_000_000
    assert LIST.cost(1_000_000, 0, cached_tokens=1_000_000) == 1_250_000_000_000


def test_cached_tokens_without_a_price_cost_as_input() -> None:
    plain = PriceList("big", AS_OF, Decimal("2.50"), Decimal(10))
    assert plain.cost(1000, 5, cached_tokens=900) == plain.cost(1000, 5)


def test_a_machine_of_ones_own_counts_by_time() -> None:
    assert HOSTED.cost(10_000, 0) == PICO // 1000
    assert HOSTED.cost(0, 100) == PICO // 1000
    assert HOSTED.cost(10_000, 100, cached_tokens=10_000) == PICO // 1000


@pytest.mark.parametrize("speeds", [(0, 1), (1, 0)])
def test_a_machine_without_speed_is_refused(speeds: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="per_second"):
        SelfHosted("own", Decimal(1), Decimal(speeds[0]), Decimal(speeds[1]))


@given(given_in=TOKENS, out=TOKENS, cached=TOKENS)
def test_more_tokens_never_cost_less(given_in: int, out: int, cached: int) -> None:
    for reference in (LIST, HOSTED):
        cost = reference.cost(given_in, out, cached)
        assert cost >= 0
        assert reference.cost(given_in + 1, out, cached) >= cost
        assert reference.cost(given_in, out + 1, cached) >= cost
