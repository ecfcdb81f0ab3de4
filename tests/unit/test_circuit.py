"""Circuit and budget: who fails is left alone and looked at again; a storm cannot feed itself."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.circuit import (
    COST,
    ELSEWHERE,
    LIMIT,
    MAX_PAUSE_S,
    PATIENCE_S,
    PAUSE_S,
    Circuit,
    CircuitState,
)
from hexkey.retries import RESERVE, SHARE, RetryBudget

RESULTS = st.lists(
    st.tuples(st.floats(0, 5), st.sampled_from([True, False, None])), min_size=1, max_size=200
)


IN_A_ROW = LIMIT // COST


def failing(times: int = IN_A_ROW, now: float = 0.0) -> Circuit:
    circuit = Circuit()
    for _ in range(times):
        one(circuit, now, failed=True)
    return circuit


def one(circuit: Circuit, now: float, *, failed: bool | None) -> None:
    """One request that ends as soon as it has begun."""
    circuit.end(now, circuit.begin(), failed=failed)


def passed_by(circuit: Circuit, now: float) -> int:
    """How many requests go to others before one looks again."""
    for number in range(2 * ELSEWHERE):
        if not circuit.ejects(now):
            return number
        circuit.pass_by()
    raise AssertionError("nobody looks again")


def test_failures_open_it_and_successes_after_the_pause_close_it() -> None:
    assert failing(IN_A_ROW - 1).state(0) is CircuitState.CLOSED
    circuit = failing()
    assert circuit.state(0) is CircuitState.OPEN
    assert circuit.ejects(PAUSE_S - 0.01)
    assert circuit.state(PAUSE_S) is CircuitState.HALF_OPEN
    assert passed_by(circuit, PAUSE_S) == ELSEWHERE
    begun = circuit.begin()
    assert circuit.ejects(PAUSE_S), "one request at a time looks again"
    for paid in range(1, LIMIT):
        circuit.end(PAUSE_S + 1, begun, failed=False)
        assert circuit.state(PAUSE_S + 1) is CircuitState.HALF_OPEN
        for _ in range(paid + 1):
            assert not circuit.ejects(PAUSE_S + 1)
            begun = circuit.begin()
        assert circuit.ejects(PAUSE_S + 1), "as many as it has earned"
        for _ in range(paid):
            circuit.end(PAUSE_S + 1, begun, failed=None)
    circuit.end(PAUSE_S + 1, begun, failed=False)
    assert circuit.state(PAUSE_S + 1) is CircuitState.CLOSED


def test_each_look_that_fails_makes_the_pause_longer() -> None:
    circuit, now, pauses = failing(), 0.0, []
    for _ in range(8):
        begun = now
        while circuit.state(now) is CircuitState.OPEN:
            now += 0.5
        pauses.append(now - begun)
        one(circuit, now, failed=True)
    assert pauses == sorted(pauses)
    assert pauses[0] == PAUSE_S
    assert pauses[-1] == MAX_PAUSE_S


def test_a_look_whose_caller_left_lets_the_next_one_through() -> None:
    circuit = failing()
    passed_by(circuit, PAUSE_S)
    one(circuit, PAUSE_S, failed=None)
    assert not circuit.ejects(PAUSE_S)
    assert circuit.state(PAUSE_S) is CircuitState.HALF_OPEN


def test_what_began_before_it_opened_tells_nothing_that_is_not_known() -> None:
    circuit = failing(IN_A_ROW - 1)
    earlier = [circuit.begin() for _ in range(3)]
    one(circuit, 0, failed=True)
    passed_by(circuit, PAUSE_S)
    look = circuit.begin()
    circuit.end(PAUSE_S, earlier[0], failed=True)
    assert circuit.state(PAUSE_S) is CircuitState.HALF_OPEN
    for begun in earlier[1:]:
        circuit.end(PAUSE_S, begun, failed=False)
    assert circuit.ejects(PAUSE_S), "one looks, and has not paid yet"
    circuit.end(PAUSE_S, look, failed=True)
    assert circuit.state(PAUSE_S) is CircuitState.OPEN


def test_a_new_process_is_looked_at_at_once_and_no_more_than_that() -> None:
    circuit = failing()
    circuit.serve_from(None, 0.5)
    assert circuit.ejects(0.5), "there is none yet"
    circuit.serve_from(2, 0.5)
    assert not circuit.ejects(0.5)
    begun = circuit.begin()
    circuit.serve_from(2, 0.6)
    assert circuit.ejects(0.6)
    circuit.end(0.7, begun, failed=True)
    assert circuit.state(0.7) is CircuitState.OPEN
    assert passed_by(circuit, 0.7 + 2 * PAUSE_S) == ELSEWHERE


def test_a_new_process_of_a_trusted_engine_changes_nothing() -> None:
    circuit = failing(IN_A_ROW - 1)
    circuit.serve_from(2, 0)
    assert circuit.state(0) is CircuitState.CLOSED
    one(circuit, 0, failed=True)
    assert circuit.ejects(0)


def test_somebody_looks_in_the_end_though_hardly_anybody_comes() -> None:
    circuit = failing()
    assert circuit.ejects(PAUSE_S + PATIENCE_S - 1)
    assert not circuit.ejects(PAUSE_S + PATIENCE_S)


def test_a_few_failures_among_many_successes_are_no_reason() -> None:
    circuit = Circuit()
    for number in range(1000):
        one(circuit, 0, failed=number % (COST + 1) == 0)
    assert circuit.state(0) is CircuitState.CLOSED


def test_it_opens_as_soon_after_a_good_time_as_at_the_start() -> None:
    circuit = Circuit()
    for failed in [False] * 1000 + [True] * IN_A_ROW:
        assert circuit.state(0) is CircuitState.CLOSED
        one(circuit, 0, failed=failed)
    assert circuit.state(0) is CircuitState.OPEN


def days(
    per_s: float,
    answer_s: float,
    shares: dict[float, float],
    seed: int = 1,
    wanted: float = 1,
) -> Iterator[tuple[float, str]]:
    """Yield when and how requests end, which come by chance, ``per_s`` of them on average.

    ``shares`` of those that the engine gets fail from the seconds named on, the last one being
    the end; ``aside`` go elsewhere since it is not trusted, and all but ``wanted`` anyway.
    """
    lots, circuit = random.Random(seed), Circuit()  # noqa: S311 - lots, no secret
    under_way: list[tuple[float, bool, int]] = []
    now = 0.0
    while (now := now + lots.expovariate(per_s)) < max(shares):
        while under_way and under_way[0][0] <= now:
            ended, failed, begun = heapq.heappop(under_way)
            circuit.end(ended, begun, failed=failed)
            yield ended, "failed" if failed else "ok"
        if circuit.ejects(now):
            circuit.pass_by()
            yield now, "aside"
        elif lots.random() > wanted:
            yield now, "elsewhere"
        else:
            fails = lots.random() < shares[max(since for since in shares if since <= now)]
            until = now + answer_s * lots.uniform(0.5, 1.5)
            heapq.heappush(under_way, (until, fails, circuit.begin()))


def ends(since_s: float, days: Iterable[Iterator[tuple[float, str]]]) -> Counter[str]:
    """How requests ended, of all days together, from some second on."""
    return Counter(how for day in days for when, how in day if when > since_s)


@pytest.mark.parametrize("wanted", [1, 1 / 3], ids=["first", "each"])
@pytest.mark.parametrize("well_s", [0, 60])
@pytest.mark.parametrize("answer_s", [0.05, 1.0])
@pytest.mark.parametrize("per_s", [5, 20, 100])
def test_few_are_lost_to_one_that_fails_half_the_time_also_where_many_are_under_way(
    per_s: int, answer_s: float, well_s: float, wanted: float
) -> None:
    shares: dict[float, float] = {0: 0, well_s: 0.5, well_s + 65: 1}
    seeds = range(max(2, 100 // per_s))
    seen = ends(well_s + 5, (days(per_s, answer_s, shares, seed, wanted) for seed in seeds))
    assert 0 < seen["failed"] < 0.02 * seen.total()


@pytest.mark.parametrize("per_s", [0.1, 1, 10])
def test_looking_costs_one_in_a_hundred_however_few_come(per_s: float) -> None:
    seen = ends(0, [days(per_s, 0.05, {0: 1, 5000 / per_s: 1})])
    assert 10 < seen["failed"] <= 0.01 * seen.total() + IN_A_ROW


@pytest.mark.parametrize("answer_s", [0.05, 1.0])
def test_one_that_is_well_again_gets_all_within_a_minute(answer_s: float) -> None:
    well_s = 30
    days_of_it = (days(20, answer_s, {0: 0.5, well_s: 0, 120: 1}, seed) for seed in range(10))
    assert set(ends(well_s + MAX_PAUSE_S + 10, days_of_it)) == {"ok"}


@pytest.mark.parametrize("answer_s", [0.05, 1.0])
@pytest.mark.parametrize(("share", "most"), [(0.02, 0.1), (0.05, 0.1), (0.1, 0.2)])
def test_one_that_mostly_succeeds_is_soon_trusted_after_an_outage(
    share: float, most: float, answer_s: float
) -> None:
    shares: dict[float, float] = {0: 1, 3: share, 120: 1}
    seen = ends(60, (days(10, answer_s, shares, seed) for seed in range(50)))
    assert seen["aside"] < most * seen.total()


@pytest.mark.parametrize("share", [0.2, 0.3])
def test_one_that_fails_a_fifth_is_left_alone_where_others_can_serve(share: float) -> None:
    shares: dict[float, float] = {0: share, 1200: 1}
    seen = ends(120, (days(10, 0.5, shares, seed) for seed in range(5)))
    assert seen["failed"] < 0.02 * seen.total()


def test_a_failure_of_a_half_open_one_takes_back_what_some_successes_have_paid() -> None:
    for paid, state in ((COST, CircuitState.OPEN), (COST + 1, CircuitState.HALF_OPEN)):
        circuit = failing()
        for failed in [False] * paid + [True]:
            one(circuit, PAUSE_S, failed=failed)
        assert circuit.state(PAUSE_S) is state


@given(RESULTS)
def test_it_is_looked_at_again_after_the_longest_pause(
    results: list[tuple[float, bool | None]],
) -> None:
    circuit, now = Circuit(), 0.0
    for after, failed in results:
        now += after
        one(circuit, now, failed=failed)
    assert passed_by(circuit, now + MAX_PAUSE_S) <= ELSEWHERE


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
