"""What a model's requests take, learned from those it has served. Pure: times come in as numbers.

Service times are kept by size, in classes that double: a model's time grows with the work in no way
that one formula fits on every engine. A class that has seen nothing is told by its neighbours. What
a request is expected to take is, as TCP expects of a round trip (Jacobson 1988), the mean and four
deviations: under overload every request that starts is one that can just make it, so an estimate
that half of them exceed would have the engine work for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hexkey.admission.ticket import Size, Ticket
    from hexkey.types import Usage

CLASSES = 24
TOKENS_PER_CHARACTER = 0.25
WEIGHT = 0.1
"""How much one more request counts against all before it."""
DEVIATIONS = 4
PATIENCE = 50
DOUBT = 0.98
"""What is left of an estimate with each refusal by it, after ``PATIENCE`` of them while nothing was
served: one that is too high would otherwise refuse for ever and never be corrected."""


class _Average:
    """A moving mean and its mean deviation, in seconds."""

    __slots__ = ("deviation", "mean", "refused")

    def __init__(self, seconds: float) -> None:
        self.mean = seconds
        self.deviation = 0.0
        self.refused = 0

    @property
    def high(self) -> float:
        """What few exceed."""
        return self.mean + DEVIATIONS * self.deviation

    def learn(self, seconds: float) -> None:
        self.deviation = _blend(self.deviation, abs(seconds - self.mean))
        self.mean = _blend(self.mean, seconds)
        self.refused = 0

    def doubt(self) -> None:
        self.refused += 1
        if self.refused > PATIENCE:
            self.mean *= DOUBT
            self.deviation *= DOUBT


class Estimator:
    """One model's averages, each over about the last ``1 / WEIGHT`` requests."""

    def __init__(self) -> None:
        self._ratio = TOKENS_PER_CHARACTER
        self._service: list[_Average | None] = [None] * CLASSES
        self._all: _Average | None = None

    @property
    def mean_s(self) -> float:
        """How long the engine takes for a request, on average; 0 while nothing is known."""
        return self._all.mean if self._all else 0.0

    def input_tokens(self, size: Size) -> int:
        """Return about how many tokens a payload's input is."""
        return size.tokens + round(size.characters * self._ratio)

    def times(self, tokens: int) -> tuple[float, float]:
        """Return how long the engine takes for so much work: on average, and what few exceed.

        Both are 0 while nothing is known.
        """
        known = self._nearest(tokens)
        return (known.mean, known.high) if known else (0.0, 0.0)

    def served(self, ticket: Ticket, seconds: float, usage: Usage) -> None:
        """Learn from a request that the engine completed."""
        if usage.input_characters and usage.input_tokens:
            self._ratio = _blend(self._ratio, usage.input_tokens / usage.input_characters)
        self._learn(ticket, seconds)

    def overran(self, ticket: Ticket, seconds: float) -> None:
        """Learn from one that was stopped: it would have taken longer than this."""
        known = self._nearest(ticket.tokens)
        if known is None or seconds > known.mean:
            self._learn(ticket, seconds)

    def doubt(self, ticket: Ticket) -> None:
        """A request was refused because of what is believed here."""
        for known in (self._nearest(ticket.tokens), self._all):
            if known is not None:
                known.doubt()

    def _nearest(self, tokens: int) -> _Average | None:
        wanted = _class(tokens)
        for distance in range(CLASSES):
            for near in (wanted - distance, wanted + distance):
                if 0 <= near < CLASSES and (known := self._service[near]) is not None:
                    return known
        return None

    def _learn(self, ticket: Ticket, seconds: float) -> None:
        wanted = _class(ticket.tokens)
        for known in (self._service[wanted], self._all):
            if known is not None:
                known.learn(seconds)
        self._service[wanted] = self._service[wanted] or _Average(seconds)
        self._all = self._all or _Average(seconds)


def _class(tokens: int) -> int:
    return min(CLASSES - 1, max(1, tokens).bit_length() - 1)


def _blend(old: float, new: float) -> float:
    return old + WEIGHT * (new - old)
