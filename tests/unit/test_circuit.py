"""Circuit and budget: who fails is left alone and looked at again; a storm cannot feed itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hexkey.circuit import FAILURES, MAX_PAUSE_S, PAUSE_S, WINDOW, Circuit, CircuitState
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
