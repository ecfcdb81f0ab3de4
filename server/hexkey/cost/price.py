"""What the machine costs: a price per hour, quoted or worked out, and the bill that runs from it.

Money is parsed from decimals and becomes pico-units of the currency (1e-12) at once; a rate is a
whole number of them per hour.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING

from hexkey.cost.split import split

if TYPE_CHECKING:
    from collections.abc import Mapping

PICO = 10**12
HOUR_NS = 3_600 * 10**9
DEVICE = "machine"
"""Name of the one device of a machine whose parts are not told apart."""
MAX_DIGITS = 30
"""Bound on a number's digits and on its exponent, so that no text makes a huge integer."""
_HOURS_A_MONTH = Fraction(1461, 2)
"""730.5: 365.25 days of 24 hours over 12 months."""


def decimal(text: str) -> Decimal:
    """Return a number as people write it; ``ValueError`` unless finite and at least 0."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"expected a decimal number such as '0.40', found {text!r}") from None
    if not value.is_finite() or value.is_signed():
        raise ValueError(f"expected a finite number of at least 0, found {text!r}")
    if len(value.as_tuple().digits) > MAX_DIGITS or abs(value.adjusted()) > MAX_DIGITS:
        raise ValueError(f"expected at most {MAX_DIGITS} digits, found {text!r}")
    return value


def pico(amount: Decimal) -> int:
    """Return money in pico-units; what is smaller than one is dropped."""
    return int(Fraction(amount) * PICO)


@dataclass(frozen=True, slots=True)
class Rented:
    """A machine at a quoted price."""

    price_per_hour: Decimal

    def per_hour(self) -> Fraction:
        """Return the price of one hour."""
        return Fraction(self.price_per_hour)


@dataclass(frozen=True, slots=True)
class Owned:
    """A machine of one's own: it loses ``capex - residual`` over ``months`` and draws ``watts``.

    ``opex_per_hour`` is rent, cooling contracts, people; ``pue`` the power that the building takes
    for each watt of the machine. Raises ``ValueError`` for what cannot be.
    """

    capex: Decimal
    months: int
    residual: Decimal = Decimal(0)
    opex_per_hour: Decimal = Decimal(0)
    watts: Decimal = Decimal(0)
    pue: Decimal = Decimal(1)
    price_per_kwh: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if self.months <= 0:
            raise ValueError("months: must be greater than 0")
        if self.residual > self.capex:
            raise ValueError("residual: must not be more than capex")
        if self.pue < 1:
            raise ValueError("pue: must be at least 1")
        for field in fields(self):
            if getattr(self, field.name) < 0:
                raise ValueError(f"{field.name}: must be at least 0")

    def per_hour(self) -> Fraction:
        """Return the price of one hour."""
        wear = (Fraction(self.capex) - Fraction(self.residual)) / (self.months * _HOURS_A_MONTH)
        kilowatts = Fraction(self.watts) / 1000 * Fraction(self.pue)
        return wear + Fraction(self.opex_per_hour) + kilowatts * Fraction(self.price_per_kwh)


def machine_rate(price: Rented | Owned) -> int:
    """Return the machine's price in pico-units per hour."""
    return int(price.per_hour() * PICO)


def device_rates(rate: int, shares: Mapping[str, Decimal]) -> dict[str, int]:
    """Return each device's part of the machine's rate; the parts add up to it.

    Raises ``ValueError`` unless the shares are at least 0 and add up to exactly 1.
    """
    exact = [Fraction(share) for share in shares.values()]
    if sum(exact) != 1 or min(exact) < 0:
        whole = sum(shares.values(), Decimal())
        raise ValueError(f"must be at least 0 and add up to exactly 1, and not to {whole}")
    scale = 1
    for share in exact:
        scale *= share.denominator
    return dict(zip(shares, split(rate, [int(share * scale) for share in exact]), strict=True))


class Bill:
    """A running total: ``base + floor(rate*(t - epoch)/hour)`` at ``time.monotonic_ns()`` t.

    Differences telescope, so however often it is read nothing drifts. The unit is whatever
    ``rate`` (at least 0) counts per hour: pico-units, microjoules, nanoseconds.
    """

    __slots__ = ("_base", "_epoch_ns", "_rate")

    def __init__(self, rate: int, epoch_ns: int, base: int = 0) -> None:
        self._rate = rate
        self._epoch_ns = epoch_ns
        self._base = base

    @property
    def rate(self) -> int:
        """Units per hour now."""
        return self._rate

    def total(self, at_ns: int) -> int:
        """Return the bill at an instant; before the epoch it is ``base``."""
        return self._base + max(0, self._rate * (at_ns - self._epoch_ns)) // HOUR_NS

    def reprice(self, rate: int, at_ns: int) -> None:
        """Close the epoch at ``at_ns``; from there on the rate is the new one.

        ``at_ns`` must not lie before what was read already; ``Ledger.reprice`` sees to that.
        """
        self._base, self._epoch_ns, self._rate = self.total(at_ns), at_ns, rate


def seconds(start_ns: int) -> Bill:
    """Return the meter of time itself, in nanoseconds since ``start_ns``."""
    return Bill(HOUR_NS, start_ns)
