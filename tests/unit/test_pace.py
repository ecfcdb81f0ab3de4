"""How long to wait for the next key: as long as most gaps are, and only where that saves work."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.pace import PAUSE_S, Pace


def typed(gaps: Iterable[float]) -> Pace:
    pace, now = Pace(), 100.0
    pace.key(now)
    for gap in gaps:
        now += gap
        pace.key(now)
    return pace


def test_an_even_pace_is_waited_for_as_long_as_a_gap() -> None:
    assert typed([0.15] * 20).hold_s(0.4, 0.3) == pytest.approx(0.15)


def test_an_uneven_pace_is_waited_for_longer() -> None:
    held = typed([0.1, 0.2] * 20).hold_s(0.4, 0.3)
    assert 0.22 < held < 0.28


def test_an_answer_that_comes_before_the_next_key_is_not_held() -> None:
    assert typed([0.15] * 20).hold_s(0.1, 0.3) == 0.0


def test_who_types_slowly_is_not_waited_for() -> None:
    assert typed([0.5] * 20).hold_s(0.9, 0.3) == 0.0


def test_pauses_tell_nothing() -> None:
    pauses = [0.15, PAUSE_S + 1, 0.15, 30.0, 0.15, 5.0, 0.15]
    assert typed(pauses).hold_s(0.4, 0.3) == pytest.approx(0.15)


@pytest.mark.parametrize("gaps", [[], [0.1], [0.1, 0.1], [2.0] * 9])
def test_little_is_not_believed(gaps: list[float]) -> None:
    assert typed(gaps).hold_s(9.0, 9.0) == 0.0


@given(st.lists(st.floats(0, 10), max_size=50), st.floats(0, 10), st.floats(0, 2))
def test_nobody_waits_longer_than_is_allowed(
    gaps: list[float], expected_s: float, most_s: float
) -> None:
    assert 0 <= typed(gaps).hold_s(expected_s, most_s) <= most_s
