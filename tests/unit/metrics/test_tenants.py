from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hexkey.metrics.tenants import OTHER, Names


def test_the_largest_get_the_last_places_and_keep_them() -> None:
    names = Names(2)
    assert names.fold({"a": 1}) == {"a": 1}
    assert names.fold({"a": 1, "b": 5, "c": 9}) == {"a": 1, "c": 9, OTHER: 5}
    assert names.fold({"a": 1, "b": 99, "c": 9}) == {"a": 1, "c": 9, OTHER: 99}


@given(st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 99)), max_size=40)))
def test_nothing_falls_and_nothing_is_lost(scrapes: list[list[tuple[int, int]]]) -> None:
    names, sums, before = Names(5), dict[str, int](), dict[str, int]()
    for growth in scrapes:
        for tenant, amount in growth:
            sums[f"t{tenant}"] = sums.get(f"t{tenant}", 0) + amount
        after = names.fold(sums)
        assert sum(after.values()) == sum(sums.values())
        assert len(after) <= 6
        assert all(after[name] >= amount for name, amount in before.items())
        before = after
