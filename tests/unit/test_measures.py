"""Measures against what numpy says of the same samples: averages, a quantile, a line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.measures import MEMORY, Average, Measure, Quantile, Took


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=MEMORY))
def test_the_first_samples_are_averaged_plainly(samples: list[float]) -> None:
    average = Average()
    for sample in samples:
        average.add(sample)
    assert average.value == pytest.approx(np.mean(samples), rel=1e-9, abs=1e-9)


def test_an_average_forgets() -> None:
    average = Average()
    for sample in [1.0] * 1000 + [2.0] * (5 * MEMORY):
        average.add(sample)
    assert average.value == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize("kind", ["exponential", "lognormal", "uniform"])
@pytest.mark.parametrize("p", [0.5, 0.95])
def test_a_quantile_is_near_that_of_all_samples(kind: str, p: float) -> None:
    samples = getattr(np.random.default_rng(3), kind)(size=5000)
    quantile = Quantile(p)
    for sample in samples:
        quantile.add(float(sample))
    exact = np.quantile(samples, p)
    below = np.mean(samples <= quantile.value)
    assert quantile.value == pytest.approx(exact, rel=0.1)
    assert abs(below - p) < 0.02


@given(st.lists(st.floats(0, 1e9), max_size=200))
def test_a_quantile_stays_among_its_samples(samples: list[float]) -> None:
    quantile = Quantile(0.95)
    for sample in samples:
        quantile.add(sample)
        assert min(samples) <= quantile.value <= max(samples)


def measured(units: list[float], seconds: list[float]) -> Measure:
    measure = Measure()
    for one, took in zip(units, seconds, strict=True):
        measure.add(Took(one, took, int(one * 7), took))
    return measure


def test_a_line_tells_what_is_fixed_from_what_grows() -> None:
    rng = np.random.default_rng(5)
    units = rng.integers(10, 2000, 500).tolist()
    measure = measured(units, [0.05 + 0.001 * one for one in units])
    fixed, per_unit = measure.line
    assert fixed == pytest.approx(0.05, rel=0.05)
    assert per_unit == pytest.approx(0.001, rel=0.01)
    assert measure.pico_per_unit == pytest.approx(7, rel=0.01)
    assert measure.spread == pytest.approx(1, abs=0.2)


def test_requests_that_are_all_alike_are_taken_in_proportion() -> None:
    assert measured([20] * 9, [0.5] * 9).line == pytest.approx((0.0, 0.025))


@given(
    st.lists(
        st.tuples(st.floats(1, 1e5), st.floats(0, 1e3)),
        min_size=1,
        max_size=50,
    )
)
def test_no_line_foretells_less_than_nothing(samples: list[tuple[float, float]]) -> None:
    measure = measured(*map(list, zip(*samples, strict=True)))
    fixed, per_unit = measure.line
    assert fixed >= 0
    assert per_unit >= 0
    assert measure.spread >= 1


def test_a_bad_week_is_forgotten() -> None:
    measure = measured([20] * 500, ([0.5] * 9 + [5.0]) * 50)
    assert measure.spread > 2
    for _ in range(2000):
        measure.add(Took(20, 0.5, 0, 0.0))
    assert measure.spread == pytest.approx(1, abs=0.1)


def test_the_spread_is_what_one_in_twenty_takes() -> None:
    rng = np.random.default_rng(6)
    units = rng.integers(100, 1000, 4000)
    seconds = 0.001 * units * rng.lognormal(0, 0.4, 4000)
    measure = measured(units.tolist(), seconds.tolist())
    fixed, per_unit = measure.line
    within = np.mean(seconds <= (fixed + per_unit * units) * measure.spread)
    assert 0.9 < within < 0.99
