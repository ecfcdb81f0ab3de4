"""Energy in microjoules: meters that a ledger reads as it reads a bill.

``static_power`` is a bill of watts. What a machine measures (``readers``) comes in samples, since
reading a counter at every step could cost more than the step's book-keeping; a ``Sampled`` meter
goes on between two samples with the power of the last interval, and the next sample puts it right.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from hexkey.cost.price import Bill

if TYPE_CHECKING:
    from decimal import Decimal

MAX_AHEAD = 2
"""A meter runs ahead for so many intervals, then waits: a dead reader must not draw power."""


def static_power(watts: Decimal, start_ns: int) -> Bill:
    """Return the meter of a machine that always draws ``watts``."""
    return Bill(int(Fraction(watts) * 1_000_000 * 3_600), start_ns)


class _Sample(NamedTuple):
    at_ns: int
    total: int
    gained: int
    """In the interval before it, which took ``took_ns``."""
    took_ns: int


class Sampled:
    """A running total fed with samples; between them it is an estimate that never falls.

    It differs from what was measured by at most the energy of ``MAX_AHEAD`` intervals, at any time:
    where it ran ahead it waits, where it lagged it catches up with the next sample. One thread may
    feed while another reads.
    """

    __slots__ = ("_last", "_told")

    def __init__(self, start_ns: int) -> None:
        self._last = _Sample(start_ns, 0, 0, 1)
        self._told = 0

    def feed(self, total: int, at_ns: int) -> None:
        """Take in a sample: microjoules since the start, at an instant after the last one's."""
        last = self._last
        if at_ns > last.at_ns:
            # One assignment, so that a reader sees the old sample or the new one whole.
            self._last = _Sample(at_ns, total, max(0, total - last.total), at_ns - last.at_ns)

    def total(self, at_ns: int) -> int:
        """Return microjoules since the start."""
        at, total, gained, took = self._last
        ahead = min(max(0, at_ns - at), MAX_AHEAD * took)
        self._told = max(self._told, total + gained * ahead // took)
        return self._told
