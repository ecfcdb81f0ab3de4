"""Circuit and budget: who fails is left alone and looked at again; a storm cannot feed itself."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.circuit import COST, FAILURES, MAX_PAUSE_S, PAUSE_S, WINDOW, Circuit, CircuitState
from hexkey.retries import RESERVE, SHARE, RetryBudget

RESULTS = st.lists(
    st.tuples(st.floats(0, 5), st.sampled_from([True, False, None])), min_size=1, max_size=200
)


def failing(times: int = FAILURES, now: float = 0.0) -> Circuit:
    circuit = Circuit()
    for _ in range(times):
        circuit.begin(now)
        circuit.end(now, failed=True)
    return circuit


def test_failures_open_it_and_one_success_after_the_pause_closes_it() -> None:
    assert failing(FAILURES - 1).state(0) is CircuitState.CLOSED
    circuit = failing()
    assert circuit.state(0) is CircuitState.OPEN
    assert circuit.ejects(PAUSE_S - 0.01)
    assert circuit.state(PAUSE_S) is CircuitState.HALF_OPEN
    assert not circuit.ejects(PAUSE_S)
    circuit.begin(PAUSE_S)
    assert circuit.ejects(PAUSE_S), "one request at a time looks again"
    circuit.end(PAUSE_S + 1, failed=False)
    assert circuit.state(PAUSE_S + 1) is CircuitState.CLOSED


def test_each_probe_that_fails_makes_the_pause_longer() -> None:
    circuit, now, pauses = failing(), 0.0, []
    for _ in range(8):
        begun = now
        while circuit.state(now) is CircuitState.OPEN:
            now += 0.5
        pauses.append(now - begun)
        circuit.begin(now)
        circuit.end(now, failed=True)
    assert pauses == sorted(pauses)
    assert pauses[0] == PAUSE_S
    assert pauses[-1] == MAX_PAUSE_S


def test_a_probe_whose_caller_left_lets_the_next_one_through() -> None:
    circuit = failing()
    circuit.begin(PAUSE_S)
    circuit.end(PAUSE_S, failed=None)
    assert not circuit.ejects(PAUSE_S)
    assert circuit.state(PAUSE_S) is CircuitState.HALF_OPEN


def test_a_few_failures_among_many_successes_are_no_reason() -> None:
    circuit = Circuit()
    for number in range(10 * WINDOW):
        circuit.begin(0)
        circuit.end(0, failed=number % 3 == 0)
    assert circuit.state(0) is CircuitState.CLOSED


def days(
    per_s: int,
    answer_s: float,
    heals_at_s: float = 1e9,
    shares: tuple[float, float] = (0.5, 0),
    seed: int = 1,
) -> Iterator[tuple[float, str]]:
    """Yield when and how requests end; ``shares`` fail before and after, ``aside`` go elsewhere."""
    lots, circuit = random.Random(seed), Circuit()  # noqa: S311 - lots, no secret
    under_way: list[tuple[float, bool]] = []
    for number in range(120 * per_s):
        now = number / per_s
        while under_way and under_way[0][0] <= now:
            ended, failed = heapq.heappop(under_way)
            circuit.end(ended, failed=failed)
            yield ended, "failed" if failed else "ok"
        if circuit.ejects(now):
            yield now, "aside"
            continue
        circuit.begin(now)
        fails = lots.random() < shares[now >= heals_at_s]
        heapq.heappush(under_way, (now + answer_s * lots.uniform(0.5, 1.5), fails))


@pytest.mark.parametrize("answer_s", [0.05, 1.0])
@pytest.mark.parametrize("per_s", [5, 20, 100])
def test_few_are_lost_to_one_that_fails_half_the_time_also_where_many_are_under_way(
    per_s: int, answer_s: float
) -> None:
    ends = Counter(how for when, how in days(per_s, answer_s) if when > 5)
    assert 0 < ends["failed"] < 0.02 * ends.total()


@pytest.mark.parametrize("answer_s", [0.05, 1.0])
def test_one_that_is_well_again_gets_all_within_a_minute(answer_s: float) -> None:
    ends = {how for when, how in days(20, answer_s, heals_at_s=30) if when > 30 + MAX_PAUSE_S}
    assert ends == {"ok"}


@pytest.mark.parametrize("answer_s", [0.05, 1.0])
@pytest.mark.parametrize("share", [0.02, 0.1])
def test_one_that_mostly_succeeds_is_soon_trusted_after_an_outage(
    share: float, answer_s: float
) -> None:
    ends = Counter(
        how
        for seed in range(50)
        for when, how in days(10, answer_s, 3, (1, share), seed)
        if when > 60
    )
    assert ends["aside"] < 0.1 * ends.total()


def test_a_failure_on_probation_takes_back_what_some_successes_have_paid() -> None:
    for paid, state in ((COST - 1, CircuitState.OPEN), (COST, CircuitState.CLOSED)):
        circuit = failing()
        for failed in [False] * paid + [True]:
            circuit.begin(PAUSE_S)
            circuit.end(PAUSE_S, failed=failed)
        assert circuit.state(PAUSE_S) is state


@given(RESULTS)
def test_it_is_looked_at_again_within_the_longest_pause(
    results: list[tuple[float, bool | None]],
) -> None:
    circuit, now = Circuit(), 0.0
    for after, failed in results:
        now += after
        circuit.begin(now)
        circuit.end(now, failed=failed)
        assert not circuit.ejects(now + MAX_PAUSE_S)


@given(st.lists(st.booleans(), max_size=2000))
def test_attempts_are_bounded_by_requests_whoever_asks(storm: list[bool]) -> None:
    budget, requests, retries = RetryBudget(), 0, 0
    for request in storm:
        if request:
            requests += 1
            budget.deposit()
        else:
            retries += budget.take()
        assert retries <= RESERVE + SHARE * requests


def test_in_a_storm_attempts_stay_below_a_fifth_more() -> None:
    budget, attempts = RetryBudget(), 0
    for _ in range(1000):
        budget.deposit()
        attempts += 1
        while budget.take():
            attempts += 1
    assert 1000 < attempts <= 1200
