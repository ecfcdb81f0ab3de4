"""Keeps requests away from an engine that fails, and lets one through now and then to look again.

An open circuit refuses nobody: it only puts its model behind others that can serve the same, so
that where every engine fails there is still one that is tried.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum

WINDOW = 20
"""Results that are remembered."""
FAILURES = 5
SHARE = 0.4
"""Failures among them, and their least share, that open the circuit: one that fails half the time
has fewer than half in many a window."""
PAUSE_S = 2.0
MAX_PAUSE_S = 60.0
PROBATION = 20
"""Successes that an engine owes once its circuit was open, else one that fails half the time is
back after each lucky probe. At a time it gets one request more than it has paid off, so that not
all come while the first is under way."""
COST = 4
"""Successes that a failure takes back meanwhile; where fewer are paid off the circuit opens again,
for longer. So one that fails half the time loses what it has paid, one with 10 % failures gains."""


class CircuitState(StrEnum):
    """Whether an engine is trusted."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Circuit:
    """One engine's results. ``now`` is in seconds on any clock that does not go back."""

    __slots__ = ("_open_until", "_owed", "_pause_s", "_probes", "_results")

    def __init__(self) -> None:
        self._results: deque[bool] = deque(maxlen=WINDOW)
        self._open_until: float | None = None
        self._pause_s = PAUSE_S
        self._probes = 0
        self._owed = 0

    def state(self, now: float) -> CircuitState:
        """Return the state: open for a pause, then half open until the next result."""
        if self._open_until is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if now < self._open_until else CircuitState.HALF_OPEN

    def ejects(self, now: float) -> bool:
        """Return whether others should go first; one request at a time probes a half-open one."""
        if self.state(now) is CircuitState.OPEN:
            return True
        return self._owed > 0 and self._probes > PROBATION - self._owed

    def begin(self, now: float) -> None:
        """A request goes to the engine."""
        if self._owed and self.state(now) is not CircuitState.OPEN:
            self._probes += 1

    def end(self, now: float, *, failed: bool | None) -> None:
        """A request has ended; None says that it tells nothing, as where its caller left."""
        half_open = self.state(now) is CircuitState.HALF_OPEN
        self._probes = max(0, self._probes - 1)
        if failed is None:
            return
        if self._open_until is not None and not half_open:
            return  # That is the end of what began before it opened, which is known by now.
        if self._owed:
            self._open_until = None
            self._owed += COST if failed else -1
            if self._owed > PROBATION:
                self._open(now)
            elif not self._owed:
                self._pause_s = PAUSE_S
            return
        self._results.append(failed)
        failures = sum(self._results)
        if failures >= FAILURES and failures >= SHARE * len(self._results):
            self._open(now)

    def _open(self, now: float) -> None:
        self._open_until = now + self._pause_s
        self._results.clear()
        self._owed = PROBATION
        self._pause_s = min(2 * self._pause_s, MAX_PAUSE_S)
