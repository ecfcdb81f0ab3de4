"""How long to wait before a host is launched again, and when nobody should wait for it."""

from __future__ import annotations

PAUSES_S = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
HEALTHY_S = 60.0
"""A host that lived so long ends a series of failures."""
CIRCUIT = 2
"""Launches in vain after which requests are refused at once and not held for the next one."""


class Backoff:
    """The launches of one model: pauses that grow with each, until a host has lived for a while."""

    def __init__(self) -> None:
        self._launches = 0
        self._in_vain = 0

    @property
    def hopeless(self) -> bool:
        """Whether the last launches failed, so that there is no telling when one will serve."""
        return self._in_vain >= CIRCUIT

    def ended(self, lived_s: float) -> None:
        """A host that served has ended after so many seconds."""
        if lived_s > HEALTHY_S:
            self._launches = 0

    def pause(self) -> float:
        """Return the seconds to wait before the next launch."""
        self._launches += 1
        return PAUSES_S[min(self._launches, len(PAUSES_S)) - 1]

    def served(self) -> None:
        """A launch has succeeded."""
        self._in_vain = 0

    def failed(self) -> None:
        """A launch was in vain."""
        self._in_vain += 1
