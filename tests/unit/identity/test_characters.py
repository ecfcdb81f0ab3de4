"""Characters translated, by tenant and month."""

from __future__ import annotations

from datetime import date

from hexkey.identity.characters import Characters

MAY, JUNE = date(2026, 5, 31), date(2026, 6, 1)


def test_each_tenant_has_its_own_sum() -> None:
    characters = Characters()
    characters.add("a", 3, MAY)
    characters.add("b", 5, MAY)
    characters.add("a", 4, MAY)
    assert [characters.of(one, MAY) for one in "abc"] == [7, 5, 0]


def test_a_month_begins_at_nothing_and_a_clock_set_back_is_no_month() -> None:
    characters = Characters()
    characters.add("a", 3, MAY)
    assert characters.of("a", JUNE) == 0
    characters.add("a", 4, MAY)
    assert characters.of("a", JUNE) == 4


def test_what_was_translated_before_a_restart_counts() -> None:
    characters = Characters()
    characters.add_all({"a": 10}, MAY)
    characters.add("a", 1, MAY)
    assert characters.of("a", MAY) == 11
