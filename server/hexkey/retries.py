"""How many second attempts there may be: a share of the requests, so that no storm feeds itself."""

from __future__ import annotations

SHARE = 0.15
"""Second attempts that each request allows."""
RESERVE = 10.0
"""Those that quiet times leave for a sudden failure, and the most that are saved up."""


class RetryBudget:
    """A bucket that each request fills a little and each second attempt empties by one.

    So n requests are never more than ``n * (1 + SHARE) + RESERVE`` attempts, however many fail.
    """

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = RESERVE

    def deposit(self) -> None:
        """A request came."""
        self._left = min(self._left + SHARE, RESERVE)

    def take(self) -> bool:
        """Return whether one more attempt may be made, which then counts."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
