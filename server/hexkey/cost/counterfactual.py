"""What the same traffic would have cost elsewhere: named references, priced in pico-units.

Savings are the counterfactual minus the *whole* bill, idle and all, and may be negative; that is
for a query to work out (a counter cannot fall).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from hexkey.cost.price import PICO, pico

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

MILLION = 1_000_000


class Reference(Protocol):
    """Something that would have done the work instead; it has a name people know it by."""

    @property
    def name(self) -> str:
        """Label of the metrics."""

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> int:
        """Return pico-units for a request; ``cached_tokens`` are a part of the input."""


@dataclass(frozen=True, slots=True)
class PriceList:
    """A hosted model's prices per million tokens, as they stood on ``as_of``.

    Without a price of their own, cached tokens cost as any input does.
    """

    name: str
    as_of: date
    input_per_million: Decimal
    output_per_million: Decimal
    cached_per_million: Decimal | None = None

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> int:
        """Return pico-units for a request."""
        price = self.input_per_million
        cached_price = price if self.cached_per_million is None else self.cached_per_million
        cached = min(cached_tokens, input_tokens)
        return (
            (input_tokens - cached) * pico(price)
            + cached * pico(cached_price)
            + output_tokens * pico(self.output_per_million)
        ) // MILLION


@dataclass(frozen=True, slots=True)
class SelfHosted:
    """A big model on a machine of one's own that is always busy: its best case.

    ``price_per_hour`` buys 3,600 seconds at ``input_per_second`` and ``output_per_second`` tokens,
    each measured alone; cached tokens take no time. Raises ``ValueError`` unless both are
    greater than 0.
    """

    name: str
    price_per_hour: Decimal
    input_per_second: Decimal
    output_per_second: Decimal

    def __post_init__(self) -> None:
        for field in ("input_per_second", "output_per_second"):
            if getattr(self, field) <= 0:
                raise ValueError(f"{field}: must be greater than 0")

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> int:
        """Return pico-units for a request."""
        seconds = (input_tokens - min(cached_tokens, input_tokens)) / Fraction(
            self.input_per_second
        ) + output_tokens / Fraction(self.output_per_second)
        return int(seconds * Fraction(self.price_per_hour) * PICO / 3_600)
