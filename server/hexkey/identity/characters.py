"""How many characters each tenant had translated in this month, as DeepL's API tells it.

Pure: days come in as arguments, UTC. There are no more tenants than keys were made for.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date


class Characters:
    """Sums of one calendar month; a clock that is set back changes nothing."""

    def __init__(self) -> None:
        self._month = (0, 0)
        self._sums = Counter[str]()

    def add(self, tenant: str, amount: int, today: date) -> None:
        """Count ``amount`` more characters of a tenant."""
        self._turn(today)
        self._sums[tenant] += amount

    def add_all(self, before: Mapping[str, int], today: date) -> None:
        """Count what tenants had translated this month before this server started."""
        self._turn(today)
        self._sums.update(before)

    def of(self, tenant: str, today: date) -> int:
        """Return a tenant's characters of the month of ``today``."""
        self._turn(today)
        return self._sums[tenant]

    def _turn(self, today: date) -> None:
        month = (today.year, today.month)
        if month > self._month:
            self._month = month
            self._sums.clear()
