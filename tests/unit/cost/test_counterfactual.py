"""Counterfactuals: what the same request would have cost on a named reference."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.cost.counterfactual import Reference, Work, hosted, listed
from hexkey.cost.price import PICO

BIG = listed(
    "big",
    input_per_million=Decimal("2.50"),
    output_per_million=Decimal(10),
    cached_per_million=Decimal("1.25"),
)
OWN = hosted(
    "own",
    Decimal("3.60"),
    input_per_second=Decimal(10_000),
    output_per_second=Decimal(100),
    audio_per_second=Decimal(50),
)
CLOUD = listed(
    "cloud",
    input_per_million=Decimal(1),
    output_per_million=Decimal(1),
    characters_per_million=Decimal(20),
    audio_per_minute=Decimal("0.006"),
    requests_per_thousand=Decimal("0.1"),
)
COUNTS = st.integers(0, 10**7)


def test_a_price_list_counts_per_million() -> None:
    assert BIG.cost(Work(1_000_000, 0)) == 2_500_000_000_000
    assert BIG.cost(Work(0, 1)) == 10_000_000
    assert BIG.cost(Work(1_000_000, 0, cached_tokens=1_000_000)) == 1_250_000_000_000


def test_cached_tokens_without_a_price_cost_as_input() -> None:
    plain = listed("big", input_per_million=Decimal("2.50"), output_per_million=Decimal(10))
    assert plain.cost(Work(1000, 5, cached_tokens=900)) == plain.cost(Work(1000, 5))


def test_a_machine_of_ones_own_counts_by_time() -> None:
    assert OWN.cost(Work(10_000, 0)) == PICO // 1000
    assert OWN.cost(Work(0, 100)) == PICO // 1000
    assert OWN.cost(Work(10_000, 100, cached_tokens=10_000)) == PICO // 1000
    # A minute of sound takes it 1.2 seconds, at a thousandth each.
    assert OWN.cost(Work(audio_ms=60_000)) == 12 * PICO // 10_000
    busy = hosted("busy", Decimal("3.60"), requests_per_second=Decimal(10))
    assert busy.cost(Work(5, 5)) == PICO // 10_000


@pytest.mark.parametrize(
    ("work", "dollars"),
    [
        (Work(1000, 1000), "0.0021"),
        # A translation of 5,000 characters, and not of its tokens.
        (Work(1000, 1000, characters=5000), "0.1001"),
        (Work(0, 1000, audio_ms=90_000), "0.0091"),
    ],
)
def test_work_is_paid_in_what_it_is_counted_in_and_once(work: Work, dollars: str) -> None:
    assert CLOUD.cost(work) == Decimal(dollars) * PICO


@pytest.mark.parametrize("work", [Work(10, 5, characters=40), Work(10, 5, audio_ms=900)])
def test_without_such_a_price_tokens_count(work: Work) -> None:
    assert BIG.cost(work) == BIG.cost(Work(10, 5))


def test_what_there_is_no_price_for_costs_nothing() -> None:
    words = listed("words", characters_per_million=Decimal(20))
    assert words.cost(Work(10, 5)) == 0
    assert words.cost(Work(10, 5, characters=1)) == 20_000_000


@given(
    work=st.builds(Work, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS),
    field=st.sampled_from([name for name in Work._fields if name != "cached_tokens"]),
    reference=st.sampled_from([BIG, OWN, CLOUD]),
)
def test_more_of_anything_never_costs_less(work: Work, field: str, reference: Reference) -> None:
    if field == "characters" and not work.characters:
        return  # from tokens to characters, which another price is for
    if field == "audio_ms" and not work.audio_ms:
        return
    cost = reference.cost(work)
    assert cost >= 0
    assert reference.cost(work._replace(**{field: getattr(work, field) + 1})) >= cost


def test_prices_too_small_for_a_pico_unit_are_not_lost() -> None:
    cheap = listed("cheap", input_per_million=Decimal("0.0000001"), output_per_million=Decimal(0))
    assert cheap.cost(Work(1_000_000, 0)) == 100_000
