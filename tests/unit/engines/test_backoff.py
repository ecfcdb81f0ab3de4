"""Pauses between launches, and the circuit."""

from __future__ import annotations

import itertools

from hexkey.engines.backoff import CIRCUIT, HEALTHY_S, PAUSES_S, Backoff


def test_pauses_grow_up_to_the_last() -> None:
    backoff = Backoff()
    pauses = [backoff.pause() for _ in range(len(PAUSES_S) + 3)]
    assert pauses == [*PAUSES_S, *PAUSES_S[-1:] * 3]
    assert sorted(pauses) == pauses
    assert sum(pauses[:5]) > 5, "a crash loop must not eat the machine"
    launches = list(itertools.accumulate(pauses))
    assert sum(at <= 60 for at in launches) <= 8
    assert sum(60 < at <= 120 for at in launches) <= 1


def test_only_a_host_that_lived_for_a_while_makes_them_short_again() -> None:
    backoff = Backoff()
    for _ in range(4):
        backoff.pause()
        backoff.served()
        backoff.ended(HEALTHY_S - 1)
    assert backoff.pause() == PAUSES_S[4]
    backoff.ended(HEALTHY_S + 1)
    assert backoff.pause() == PAUSES_S[0]


def test_the_circuit_opens_by_launches_in_vain_and_closes_with_the_first_that_serves() -> None:
    backoff = Backoff()
    for _ in range(CIRCUIT):
        assert not backoff.hopeless
        backoff.failed()
    assert backoff.hopeless
    backoff.served()
    assert not backoff.hopeless
