"""Keeps requests away from an engine that fails, and lets one through now and then to look again.

An open circuit refuses nobody: it only puts its model behind others that can serve the same, so
that where every engine fails there is still one that is tried.
"""

from __future__ import annotations

from enum import StrEnum

COST = 4
"""Successes that make up for a failure: what an engine owes grows where more than one in
``COST + 1`` of its requests fail, and goes to nothing where fewer do (a CUSUM test)."""
LIMIT = 4 * COST
"""Successes owed that open the circuit, as four failures in a row bring about; all of them are due
before the engine is trusted again, else one that fails half the time is back after a lucky look."""
PAUSE_S = 2.0
MAX_PAUSE_S = 60.0
"""Nobody looks again for so long; it doubles with each look in vain."""
ELSEWHERE = 100
"""Requests for which others go first between two looks: so looking, too, fails about 1 in 100 at
most where only few come in a pause."""
PATIENCE_S = 1800.0
"""Somebody looks after so long all the same: where few come, too, one well again is missed."""


class CircuitState(StrEnum):
    """Whether an engine is trusted: half open, it gets as many requests as it has earned."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Circuit:
    """One engine's results. ``now`` is in seconds on any clock that does not go back."""

    __slots__ = (
        "_elsewhere", "_looks", "_open_until", "_openings", "_owed", "_pause_s", "_pid",
    )  # fmt: skip

    def __init__(self, pid: int | None = None) -> None:
        self._owed = 0
        self._open_until: float | None = None
        self._pause_s = PAUSE_S
        self._elsewhere = 0
        self._looks = 0
        self._openings = 0
        self._pid = pid

    def state(self, now: float) -> CircuitState:
        """Return the state: open for a pause, then half open until nothing is owed."""
        if self._open_until is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if now < self._open_until else CircuitState.HALF_OPEN

    def ejects(self, now: float) -> bool:
        """Return whether others should go first.

        Of a half-open one, one request looks first, then at a time one more than were paid for.
        """
        if self._open_until is None:
            return False
        paid = LIMIT - self._owed
        looked_away = now < self._open_until + PATIENCE_S and self._elsewhere < ELSEWHERE
        if now < self._open_until or (not paid and looked_away):
            return True
        return self._looks > paid

    def pass_by(self) -> None:
        """Others go first for a request that could have come here."""
        self._elsewhere += 1

    def serve_from(self, pid: int | None, now: float) -> None:
        """Tell the engine's process of now, if it has one: a new one is looked at at once."""
        if pid is None or pid == self._pid:
            return
        self._pid = pid
        if self._open_until is not None:
            self._open_until = min(self._open_until, now)
            self._elsewhere = ELSEWHERE

    def begin(self) -> int:
        """A request goes to the engine; to be given to ``end``."""
        self._looks += self._open_until is not None
        return self._openings

    def end(self, now: float, begun: int, *, failed: bool | None) -> None:
        """A request has ended; None says that it tells nothing, as where its caller left."""
        if begun != self._openings:
            return  # It began before the circuit opened, and what it could tell is known.
        self._looks = max(0, self._looks - 1)
        if failed is None or self.state(now) is CircuitState.OPEN:
            return
        self._owed = max(0, self._owed + (COST if failed else -1))
        if self._owed >= LIMIT:
            self._owed = LIMIT
            self._open_until = now + self._pause_s
            self._pause_s = min(2 * self._pause_s, MAX_PAUSE_S)
            self._elsewhere = self._looks = 0
            self._openings += 1
        elif not self._owed:
            self._open_until = None
            self._pause_s = PAUSE_S
