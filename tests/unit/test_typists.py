"""Who waits for the next key: a typist whose model is slow and wanted by others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hexkey.config import AutocompleteConfig
from hexkey.metrics import Metrics
from hexkey.sessions import MAX_PACES, TOGETHER_S, Sessions
from hexkey.types import Autocomplete, Request


class Clock:
    """The loop's time, which goes on when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: self.now)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def typist(sessions: Sessions, clock: Clock) -> Any:
    """Return the newest of some keys in a row."""
    request = Request(id="r", payload=Autocomplete(prefix="x", session="s"), protocol="http")
    for _ in range(5):
        session = sessions.begin(request, "m", None)
        assert session is not None
        session.claim = None  # they are all of this task, which is to go on
        clock.now += 0.05
    return sessions.begin(request, "m", None)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, float, int], Awaitable[bool]]:
    """Return what tells whether a session is held, without sleeping for that."""

    async def ask(session: Any, expected_s: float, at_model: int) -> bool:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        with monkeypatch.context() as patched:
            patched.setattr(asyncio, "sleep", sleep)
            await session.pause(expected_s, at_model)
        return slept[0] > 0

    return ask


PACED = AutocompleteConfig(latest_wins=False, adaptive_debounce_ms=300.0)

Held = Callable[[Any, float, int], Awaitable[bool]]


async def test_only_a_slow_model_that_others_want_lets_a_typist_wait(
    held: Held, clock: Clock
) -> None:
    sessions = Sessions(PACED, Metrics())
    session = typist(sessions, clock)
    assert await held(session, 5.0, 1)
    assert not await held(session, 5.0, 0)
    assert not await held(session, 0.01, 9)
    session.replaces = True
    assert not await held(session, 5.0, 1)
    assert await held(session, 5.0, 2)
    # It is counted from the key.
    clock.now += 0.35
    assert not await held(session, 5.0, 2)
    sessions.configure(AutocompleteConfig(latest_wins=False))
    assert not await held(typist(sessions, clock), 5.0, 1)


async def test_somebody_else_who_types_wants_the_model_too(held: Held, clock: Clock) -> None:
    sessions = Sessions(PACED, Metrics())
    other = sessions.pace(("", "other"))
    other.key(asyncio.get_running_loop().time())
    assert await held(typist(sessions, clock), 5.0, 0)
    other.last -= TOGETHER_S
    assert not await held(typist(sessions, clock), 5.0, 0)


async def test_paces_are_bounded() -> None:
    sessions = Sessions(AutocompleteConfig(), Metrics())
    first = sessions.pace(("", "first"))
    assert sessions.pace(("", "first")) is first
    for number in range(MAX_PACES):
        sessions.pace(("", str(number)))
    assert sessions.pace(("", "first")) is not first
    assert len(sessions._paces) == MAX_PACES
