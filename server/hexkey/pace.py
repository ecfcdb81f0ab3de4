"""How fast somebody types, learned from when completions are asked for. Pure: times come in."""

from __future__ import annotations

PAUSE_S = 1.0
"""A longer gap between two keys is a pause for thought, and tells nothing of the next key."""
WEIGHT = 0.2
"""How much one more gap counts against all before it."""
DEVIATIONS = 2
ENOUGH = 3
"""Gaps after which there is a pace to speak of."""


class Pace:
    """One session's gaps between keys: a moving mean and its mean deviation, in seconds."""

    __slots__ = ("_deviation_s", "_gaps", "_mean_s", "last")

    def __init__(self) -> None:
        self.last = float("-inf")
        self._gaps = 0
        self._mean_s = 0.0
        self._deviation_s = 0.0

    def key(self, now: float) -> None:
        """A key was hit."""
        last, self.last = self.last, now
        if now - last > PAUSE_S:
            return
        gap_s = now - last
        self._gaps += 1
        if self._gaps == 1:
            self._mean_s = gap_s
            return
        self._deviation_s += WEIGHT * (abs(gap_s - self._mean_s) - self._deviation_s)
        self._mean_s += WEIGHT * (gap_s - self._mean_s)

    def hold_s(self, expected_s: float, most_s: float) -> float:
        """Return for how long to wait for the next key before a model is asked.

        It is the gap that few exceed, ``most_s`` at most. 0 where the answer, which is expected to
        take ``expected_s``, has a chance to be there before the next key, and for who types too
        slowly to be waited for.
        """
        in_time = expected_s < self._mean_s + self._deviation_s
        if self._gaps < ENOUGH or in_time or self._mean_s >= most_s:
            return 0.0
        return min(most_s, self._mean_s + DEVIATIONS * self._deviation_s)
