"""What waits for one model: a lane per priority class, in it a line per tenant."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hexkey.admission.shares import Shares
from hexkey.types import Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from hexkey.admission.ticket import Ticket

CLASS_WEIGHT = {Priority.INTERACTIVE: 16.0, Priority.NORMAL: 4.0, Priority.BATCH: 1.0}
"""Turns of one class against another's while both wait. None of them is starved."""


class _Line:
    """One tenant's tickets in one class, oldest first."""

    __slots__ = ("input_tokens", "tickets", "work_s")

    def __init__(self) -> None:
        self.tickets: deque[Ticket] = deque()
        self.input_tokens = 0
        self.work_s = 0.0


class Lane:
    """One class: whose turn it is goes by tokens and the tenants' weights."""

    def __init__(self, weight: Callable[[str], float]) -> None:
        self._weight = weight
        self._shares: Shares[str] = Shares(weight)
        self._lines: dict[str, _Line] = {}
        self.requests = 0
        self.input_tokens = 0
        self.work_s = 0.0

    def put(self, ticket: Ticket) -> None:
        """Add a ticket to its tenant's line."""
        line = self._lines.setdefault(ticket.tenant, _Line())
        self._shares.join(ticket.tenant)
        line.tickets.append(ticket)
        self._count(line, ticket, 1)

    def head(self) -> Ticket:
        """Return the ticket whose turn it is."""
        lines = self._lines
        tenant = self._shares.next(lines, lambda one: lines[one].tickets[0].tokens)
        return lines[tenant].tickets[0]

    def take(self, ticket: Ticket) -> None:
        """The ticket at the head takes its turn."""
        self._shares.charge(ticket.tenant, ticket.tokens)
        self.drop(ticket)

    def drop(self, ticket: Ticket) -> None:
        """Remove a ticket, wherever in its line it stands."""
        line = self._lines[ticket.tenant]
        line.tickets.remove(ticket)
        self._count(line, ticket, -1)
        if not line.tickets:
            del self._lines[ticket.tenant]
            self._shares.leave(ticket.tenant)

    def longest(self, *, by_tokens: bool) -> Ticket:
        """Return the newest ticket of the tenant with the most waiting for its weight.

        The most requests or, where these are what there is no room for, tokens of input.
        """

        def length(tenant: str) -> float:
            line = self._lines[tenant]
            return (line.input_tokens if by_tokens else len(line.tickets)) / self._weight(tenant)

        return self._lines[max(self._lines, key=length)].tickets[-1]

    def ahead_s(self, tenant: str) -> float:
        """Return the work served before what a tenant adds now, in seconds of one place.

        All that waits at most; for a tenant with little of its own, its share's part of it.
        """
        own = self._lines.get(tenant)
        weight = self._weight(tenant)
        others = self._shares.weight - (weight if own else 0.0)
        own_s = own.work_s if own else 0.0
        return min(self.work_s, own_s * (1 + others / weight) + self._mean_s() * others / weight)

    def _mean_s(self) -> float:
        return self.work_s / self.requests if self.requests else 0.0

    def _count(self, line: _Line, ticket: Ticket, sign: int) -> None:
        work_s = sign * ticket.work_s * ticket.width
        line.work_s += work_s
        line.input_tokens += sign * ticket.input_tokens
        self.work_s += work_s
        self.requests += sign
        self.input_tokens += sign * ticket.input_tokens
        if not self.requests:
            self.work_s = 0.0  # what rounding left over


class Lanes:
    """All classes of one model's queue."""

    def __init__(self, weight: Callable[[str], float]) -> None:
        self.of = {priority: Lane(weight) for priority in Priority}
        self._shares: Shares[Priority] = Shares(CLASS_WEIGHT.__getitem__)
        self.requests = 0

    @property
    def input_tokens(self) -> int:
        """Tokens of input that wait."""
        return sum(lane.input_tokens for lane in self.of.values())

    @property
    def work_s(self) -> float:
        """All that waits, in seconds of one place of the engine."""
        return sum(lane.work_s for lane in self.of.values())

    def put(self, ticket: Ticket) -> None:
        """Add a ticket."""
        self.requests += 1
        self.of[ticket.priority].put(ticket)
        self._shares.join(ticket.priority)

    def head(self, among: Collection[Priority]) -> Ticket | None:
        """Return the ticket whose turn it is among some classes, None if nothing waits there."""
        heads = {one: self.of[one].head() for one in among if self.of[one].requests}
        return heads[self._shares.next(heads, lambda one: heads[one].tokens)] if heads else None

    def take(self, ticket: Ticket) -> None:
        """The ticket that ``head`` gave takes its turn."""
        self._shares.charge(ticket.priority, ticket.tokens)
        self.of[ticket.priority].take(ticket)
        self._left(ticket.priority)

    def drop(self, ticket: Ticket) -> None:
        """Remove a ticket."""
        self.of[ticket.priority].drop(ticket)
        self._left(ticket.priority)

    def least(self, *, by_tokens: bool = False) -> Ticket:
        """Return the ticket to give up where there is no room for all: least urgent, least fair."""
        lane = next(lane for lane in reversed(self.of.values()) if lane.requests)
        return lane.longest(by_tokens=by_tokens)

    def ahead_s(self, ticket: Ticket) -> float:
        """Return the work that is served before a new ticket, in seconds of one place."""
        ahead_s = 0.0
        for priority, lane in self.of.items():
            if priority is ticket.priority:
                return ahead_s + lane.ahead_s(ticket.tenant)
            ahead_s += lane.work_s
        return ahead_s

    def _left(self, priority: Priority) -> None:
        self.requests -= 1
        if not self.of[priority].requests:
            self._shares.leave(priority)
