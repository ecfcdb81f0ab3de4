"""Attribution: shares add up exactly, weights are the Shapley value, the fit finds the truth."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import combinations, pairwise
from math import comb

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hexkey.cost.attribution import EPOCH_STEPS, SCALE, Coefficients, Computed, Fit, weigh
from hexkey.cost.leastsquares import solve
from hexkey.cost.split import split

COEFFICIENTS = st.builds(
    Coefficients, st.integers(0, 10**16), st.integers(0, 10**13), st.integers(0, 10**8)
)
STEPS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 5000), st.integers(0, 200_000)),
    min_size=1,
    max_size=80,
)


@given(amount=st.integers(0, 10**24), weights=st.lists(st.integers(0, 10**12), min_size=1))
def test_parts_add_up_and_are_within_one_of_fair(amount: int, weights: list[int]) -> None:
    assume(any(weights))
    parts = split(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert part >= 0
        assert abs(part - Fraction(amount * weight, sum(weights))) < 1


def brute_force(coefficients: Coefficients, computed: list[Computed]) -> list[Fraction]:
    """The Shapley value by its definition: over all coalitions without the player."""
    count = len(computed)

    def worth(coalition: tuple[int, ...]) -> int:
        own = sum(
            coefficients.token * computed[i][1]
            + coefficients.context * computed[i][1] * computed[i][2]
            for i in coalition
        )
        return own + coefficients.fixed if coalition else 0

    values = []
    for player in range(count):
        others = [i for i in range(count) if i != player]
        value = Fraction(0)
        for size in range(count):
            for coalition in combinations(others, size):
                gain = worth((*coalition, player)) - worth(coalition)
                value += Fraction(gain, count * comb(count - 1, size))
        values.append(value)
    return values


@given(coefficients=COEFFICIENTS, computed=STEPS.filter(lambda step: len(step) <= 7))
def test_weights_are_the_shapley_value(
    coefficients: Coefficients, computed: list[Computed]
) -> None:
    values = brute_force(coefficients, computed)
    assume(any(values))
    prefix = [0, *weigh(coefficients, computed)]
    weights = [b - a for a, b in pairwise(prefix)]
    assert [Fraction(one, len(computed)) for one in weights] == values


@given(coefficients=COEFFICIENTS, computed=STEPS)
def test_there_is_always_someone_to_pay(
    coefficients: Coefficients, computed: list[Computed]
) -> None:
    prefix = weigh(coefficients, computed)
    assert len(prefix) == len(computed)
    assert prefix[-1] > 0
    assert prefix == sorted(prefix)


def test_without_any_weight_all_pay_alike() -> None:
    assert weigh(Coefficients(), [(1, 0, 0), (2, 0, 9)]) == [1, 2]


def feed(fit: Fit, truth: Coefficients, *, steps: int, noise: float, hiccups: float) -> None:
    rng = random.Random(7)  # noqa: S311 - repeatable noise, no secret
    for number in range(steps):
        size = rng.randint(1, 32)
        computed = [(i, 1, rng.randint(1, 4000)) for i in range(size)]
        if number % 5 == 0:
            computed.append((size, rng.randint(16, 512), 256))
        time = truth.fixed + sum(n * (truth.token + truth.context * c) for _, n, c in computed)
        time = time // SCALE * int(1000 * rng.uniform(1 - noise, 1 + noise)) // 1000
        if rng.random() < hiccups:
            time += 1_000_000_000
        fit.observe(time, computed)


@pytest.mark.parametrize(("noise", "hiccups", "within"), [(0, 0, 0.01), (0.03, 0.02, 0.15)])
def test_the_fit_finds_the_truth(noise: float, hiccups: float, within: float) -> None:
    truth = Coefficients(3_000_000 * SCALE, 200_000 * SCALE, 50 * SCALE)
    fit = Fit()
    feed(fit, truth, steps=2 * EPOCH_STEPS, noise=noise, hiccups=hiccups)
    assert fit.epoch == 2
    for found, true in zip(fit.coefficients, truth, strict=True):
        assert found == pytest.approx(true, rel=within)


def test_coefficients_are_frozen_within_an_epoch() -> None:
    fit = Fit()
    seen = set()
    for number in range(2 * EPOCH_STEPS - 1):
        fit.observe(1000 + number, [(1, 1 + number % 7, number)])
        seen.add(fit.coefficients)
    assert len(seen) == 2


def test_a_regime_that_changed_is_learned() -> None:
    fit = Fit()
    for _ in range(3):
        feed(fit, Coefficients(SCALE * 10**6, SCALE * 10**5, 0), steps=128, noise=0, hiccups=0)
    for _ in range(3):
        feed(fit, Coefficients(SCALE * 10**7, SCALE * 10**6, 0), steps=128, noise=0, hiccups=0)
    assert fit.coefficients.fixed == pytest.approx(SCALE * 10**7, rel=0.01)
    assert fit.coefficients.token == pytest.approx(SCALE * 10**6, rel=0.01)


@given(
    st.lists(
        st.tuples(STEPS, st.integers(-5, 10**11)),
        min_size=1,
        max_size=6,
    )
)
def test_odd_data_never_makes_odd_coefficients(steps: list[tuple[list[Computed], int]]) -> None:
    fit = Fit()
    for number in range(EPOCH_STEPS):
        computed, duration = steps[number % len(steps)]
        fit.observe(duration, computed)
    assert min(fit.coefficients) >= 0
    assert any(fit.coefficients)


def test_steps_all_alike_are_explained_by_tokens_alone() -> None:
    assert solve([(4, 400, 8000)] * 9, 10) == (0, 20_000, 0)
    assert solve([(0, 0, 8000)] * 9, 10) == (80_000, 0, 0)
    assert solve([], 10) is None
