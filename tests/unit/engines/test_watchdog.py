"""When silence is a hang: a clock and a CPU meter that the test moves."""

from __future__ import annotations

from hexkey.engines.watchdog import BUSY_FACTOR, BUSY_SHARE, Watchdog

TIMEOUT_S = 8.0
LOOK_S = 0.5


def found_after(cpu_share: float, *, pulse_s: float = 0.0, until_s: float = 200.0) -> float:
    """Seconds until a host that was last heard of at 0, and every ``pulse_s``, is given up."""
    dog = Watchdog(TIMEOUT_S, 0.0, 5.0)
    now = last_frame = 0.0
    while now < until_s:
        now += LOOK_S
        if pulse_s and now % pulse_s == 0:
            last_frame = now
        if dog.look(now, last_frame, 5.0 + now * cpu_share):
            return now
    return float("inf")


def test_a_host_that_is_silent_and_idle_is_found() -> None:
    assert TIMEOUT_S < found_after(0.0) <= TIMEOUT_S + 2 * LOOK_S
    assert found_after(BUSY_SHARE / 2) <= TIMEOUT_S + 2 * LOOK_S, "a trickle is no work"


def test_what_is_told_in_ticks_makes_no_work_of_a_trickle() -> None:
    """Looks are short, and 1.5 % of a core comes as no tick, one, or two at a time."""
    dog, cpu_s = Watchdog(TIMEOUT_S, 0.0, 0.0), 0.0
    for look in range(1, 200):
        cpu_s += (0.0, 0.0, 0.02, 0.0, 0.01)[look % 5]
        if dog.look(look * 0.25, 0.0, cpu_s):
            assert look * 0.25 <= TIMEOUT_S + 0.5
            return
    raise AssertionError("it was never found")


def test_a_host_that_is_silent_and_at_work_has_longer_and_not_for_ever() -> None:
    for share in (BUSY_SHARE * 2, 1.0, 16.0):
        limit = TIMEOUT_S * BUSY_FACTOR
        assert limit < found_after(share) <= limit + 2 * LOOK_S


def test_a_host_that_stops_in_the_middle_of_its_work_is_found_as_soon() -> None:
    dog = Watchdog(TIMEOUT_S, 0.0, 0.0)
    looks = [LOOK_S * number for number in range(1, 100)]
    found = [now for now in looks if dog.look(now, 0.0, min(now, 20.0))]
    assert 20 + TIMEOUT_S < found[0] <= 20 + TIMEOUT_S + 2 * LOOK_S


def test_a_host_that_says_something_now_and_then_is_left_alone() -> None:
    assert found_after(0.0, pulse_s=TIMEOUT_S - LOOK_S) == float("inf")


def test_one_late_look_is_not_enough() -> None:
    dog = Watchdog(TIMEOUT_S, 0.0, 0.0)
    # Our own loop was away for long, and so was every meter; then frames are read that waited.
    assert dog.look(20.0, 0.0, 0.0) is None
    assert dog.look(20.5, 20.4, 0.0) is None
    assert dog.look(29.0, 20.4, 0.0) is None
    assert "no progress for 8 s" in (dog.look(29.5, 20.4, 0.0) or "")


def test_it_says_which_of_the_two_it_was() -> None:
    dog = Watchdog(TIMEOUT_S, 0.0, 0.0)
    said = [dog.look(float(now), 0.0, float(now)) for now in range(1, 70)]
    assert next(one for one in said if one) == "one step of the engine took over 64 s"
