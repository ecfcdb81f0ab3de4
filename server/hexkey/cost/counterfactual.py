"""What the same traffic would have cost elsewhere: named references, priced in pico-units.

Savings are the counterfactual minus the *whole* bill, idle and all, and may be negative; that is
for a query to work out (a counter cannot fall).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from hexkey.cost.price import PICO

if TYPE_CHECKING:
    from decimal import Decimal

MILLION = 1_000_000
FREE = Fraction(0)


class Work(NamedTuple):
    """What one request asked for and got, as whoever does it in one go counts it.

    ``cached_tokens`` are a part of the input. ``characters`` and ``audio_ms`` are those of a task
    that is counted in them, else 0.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    characters: int = 0
    audio_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Something that would have done the work instead: its name, and pico-units for one of each.

    ``request`` is added for every request. Text in characters and sound are paid by their own price
    where there is one, all else by tokens; what there is no price for costs nothing.
    """

    name: str
    input_token: Fraction = FREE
    output_token: Fraction = FREE
    cached_token: Fraction = FREE
    character: Fraction | None = None
    audio_ms: Fraction | None = None
    request: Fraction = FREE

    def cost(self, work: Work) -> int:
        """Return whole pico-units for a request."""
        if work.characters and self.character is not None:
            return int(self.request + work.characters * self.character)
        if work.audio_ms and self.audio_ms is not None:
            return int(self.request + work.audio_ms * self.audio_ms)
        cached = min(work.cached_tokens, work.input_tokens)
        return int(
            self.request
            + (work.input_tokens - cached) * self.input_token
            + cached * self.cached_token
            + work.output_tokens * self.output_token
        )


def listed(
    name: str,
    *,
    input_per_million: Decimal | None = None,
    output_per_million: Decimal | None = None,
    cached_per_million: Decimal | None = None,
    characters_per_million: Decimal | None = None,
    audio_per_minute: Decimal | None = None,
    requests_per_thousand: Decimal | None = None,
) -> Reference:
    """Return a hosted service by its price list; cached tokens cost as any input unless it says."""
    cached = input_per_million if cached_per_million is None else cached_per_million
    return Reference(
        name=name,
        input_token=_each(input_per_million, MILLION) or FREE,
        output_token=_each(output_per_million, MILLION) or FREE,
        cached_token=_each(cached, MILLION) or FREE,
        character=_each(characters_per_million, MILLION),
        audio_ms=_each(audio_per_minute, 60_000),
        request=_each(requests_per_thousand, 1000) or FREE,
    )


def hosted(
    name: str,
    price_per_hour: Decimal,
    *,
    input_per_second: Decimal | None = None,
    output_per_second: Decimal | None = None,
    characters_per_second: Decimal | None = None,
    audio_per_second: Decimal | None = None,
    requests_per_second: Decimal | None = None,
) -> Reference:
    """Return a big model on a machine of one's own that is always busy: its best case.

    Speeds are greater than 0 and each measured alone, ``audio_per_second`` in seconds of sound;
    cached tokens take no time.
    """

    def lasting(speed: Decimal | None) -> Fraction | None:
        return _each(price_per_hour, 3600 * Fraction(speed)) if speed is not None else None

    audio_second = lasting(audio_per_second)
    return Reference(
        name=name,
        input_token=lasting(input_per_second) or FREE,
        output_token=lasting(output_per_second) or FREE,
        character=lasting(characters_per_second),
        audio_ms=None if audio_second is None else audio_second / 1000,
        request=lasting(requests_per_second) or FREE,
    )


def _each(price: Decimal | None, count: int | Fraction) -> Fraction | None:
    """Return the pico-units of one where so many cost ``price``."""
    return None if price is None else Fraction(price) * PICO / count
