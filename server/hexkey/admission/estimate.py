"""What a model's requests take, learned from those it has served. Pure: times come in as numbers.

Service times are kept by size, in classes that double: a model's time grows with the work in no way
that one formula fits on every engine. A class that has seen nothing is told by its neighbours.
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
DOUBT = 0.98
"""What is left of an estimate that a request was refused by: without being tried again now and
then, one that is too high would refuse for ever."""


class Estimator:
    """One model's averages, each over about the last ``1 / WEIGHT`` requests."""

    def __init__(self) -> None:
        self._ratio = TOKENS_PER_CHARACTER
        self._service: list[float | None] = [None] * CLASSES
        self.mean_s = 0.0

    def input_tokens(self, size: Size) -> int:
        """Return about how many tokens a payload's input is."""
        return size.tokens + round(size.characters * self._ratio)

    def service_s(self, tokens: int) -> float:
        """Return how long the engine takes for so much work; 0 while nothing is known."""
        wanted = _class(tokens)
        for distance in range(CLASSES):
            for near in (wanted - distance, wanted + distance):
                if 0 <= near < CLASSES and (known := self._service[near]) is not None:
                    return known
        return 0.0

    def served(self, ticket: Ticket, seconds: float, usage: Usage) -> None:
        """Learn from a request that the engine completed."""
        if usage.input_characters and usage.input_tokens:
            self._ratio = _blend(self._ratio, usage.input_tokens / usage.input_characters)
        self._learn(ticket, seconds)

    def overran(self, ticket: Ticket, seconds: float) -> None:
        """Learn from one that was stopped: it would have taken longer than this."""
        if seconds > self.service_s(ticket.tokens):
            self._learn(ticket, seconds)

    def doubt(self, ticket: Ticket) -> None:
        """A request was refused because of what is believed here."""
        self._service[_class(ticket.tokens)] = self.service_s(ticket.tokens) * DOUBT
        self.mean_s *= DOUBT

    def _learn(self, ticket: Ticket, seconds: float) -> None:
        wanted = _class(ticket.tokens)
        known = self._service[wanted]
        self._service[wanted] = seconds if known is None else _blend(known, seconds)
        self.mean_s = _blend(self.mean_s, seconds) if self.mean_s else seconds


def _class(tokens: int) -> int:
    return min(CLASSES - 1, max(1, tokens).bit_length() - 1)


def _blend(old: float, new: float) -> float:
    return old + WEIGHT * (new - old)
