"""Fair turns: by weight over any busy time, whatever the costs; nobody saves up, none escapes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.admission.shares import Shares

WEIGHTS = {"a": 1.0, "b": 2.0, "c": 5.0}


def serve(shares: Shares[str], keys: list[str], costs: list[int]) -> Counter[str]:
    """Serve keys that always have something waiting; return what each got."""
    got: Counter[str] = Counter()
    for cost in costs:
        key = shares.next(keys, lambda _key, cost=cost: cost)  # type: ignore[misc]
        shares.charge(key, cost)
        got[key] += cost
    return got


@given(st.lists(st.integers(1, 50), min_size=50, max_size=400))
def test_what_each_gets_is_as_its_weight_to_within_one_turn_each(costs: list[int]) -> None:
    shares = Shares(WEIGHTS.__getitem__)
    for key in WEIGHTS:
        shares.join(key)
    got = serve(shares, list(WEIGHTS), costs)
    for one, its in WEIGHTS.items():
        for other, others in WEIGHTS.items():
            apart = abs(got[one] / its - got[other] / others)
            assert apart <= max(costs) / its + max(costs) / others


def test_who_stays_away_saves_nothing_up() -> None:
    shares = Shares(dict.fromkeys("ab", 1.0).__getitem__)
    shares.join("a")
    serve(shares, ["a"], [1] * 100)
    shares.join("b")
    assert serve(shares, ["a", "b"], [1] * 10) == {"a": 5, "b": 5}


def test_who_leaves_in_debt_has_it_on_return() -> None:
    shares = Shares(dict.fromkeys("ab", 1.0).__getitem__)
    for key in "ab":
        shares.join(key)
    serve(shares, ["a"], [100])
    shares.leave("a")
    shares.join("a")
    assert serve(shares, ["a", "b"], [1] * 50) == {"b": 50}


def test_an_idle_time_ends_all_debts() -> None:
    shares = Shares(dict.fromkeys("ab", 1.0).__getitem__)
    shares.join("a")
    serve(shares, ["a"], [100])
    shares.leave("a")
    for key in "ab":
        shares.join(key)
    assert shares.next(["a", "b"], lambda _key: 1) == "a"


def test_debts_are_bounded_whoever_comes() -> None:
    shares: Shares[int] = Shares(lambda _key: 1.0)
    shares.join(-1)
    for key in range(5000):
        shares.join(key)
        shares.charge(key, 10)
        shares.leave(key)
    assert len(shares._debts) <= 1024


@pytest.mark.parametrize("among", [["a"], ["b"], ["a", "b"]])
def test_the_next_is_one_of_those_asked_for(among: list[str]) -> None:
    shares = Shares(dict.fromkeys("abc", 1.0).__getitem__)
    for key in "abc":
        shares.join(key)
    assert shares.next(among, lambda _key: 1) in among
