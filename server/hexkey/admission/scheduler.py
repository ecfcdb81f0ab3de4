"""Decides who starts, who waits and who is refused at one model. Pure: it must not act or log.

Every method that may change something returns decisions, which the ``Gate`` carries out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hexkey.admission.estimate import Estimator
from hexkey.admission.lanes import Lanes
from hexkey.admission.ticket import Ticket
from hexkey.errors import Code, ServeError, gone
from hexkey.types import Priority

if TYPE_CHECKING:
    from collections.abc import Callable

    from hexkey.config import QueueConfig
    from hexkey.types import Usage

RETRY_S = (0.1, 60.0)
"""Bounds of the advice when to come back, in seconds."""
FIRST_RETRY_S = 1.0
"""The advice while nothing is known of a model."""


_RANK = {priority: rank for rank, priority in enumerate(Priority)}


class Decision(msgspec.Struct, frozen=True):
    """A ticket leaves the queue: to the engine, or with ``refusal`` to its caller."""

    ticket: Ticket
    refusal: ServeError | None = None


class Scheduler:
    """One model's queue and the places of its engine.

    At most ``concurrency`` places are taken (a wider request takes them all), of which the last
    ``headroom`` only by interactive requests. While the next one in turn waits for as many places
    as it is wide, more urgent ones may go before it, as many as there are places; nobody else does.
    What waits is bounded by the policy; beyond it the least urgent class gives up the newest
    request of its longest line, which may be the one that just came.
    """

    def __init__(self, model: str, policy: QueueConfig, weight: Callable[[str], float]) -> None:
        self.model = model
        self.policy = policy
        self.concurrency = 1
        self.running = 0
        self._overtaken = 0
        self.lanes = Lanes(weight)
        self.estimator = Estimator()

    def offer(self, ticket: Ticket, now: float) -> list[Decision]:
        """A request comes. It is among the decisions unless it waits."""
        if ticket.deadline is not None and ticket.deadline <= now:
            late = "the deadline had passed before the request came"
            return [Decision(ticket, ServeError(Code.DEADLINE_EXCEEDED, late))]
        ticket.work_s, ticket.service_s = self.estimator.times(ticket.tokens)
        if not self.lanes.requests and self._fits(ticket):
            return [self._admitted(ticket)]
        wait_s = self.wait_s(ticket)
        if wait_s and not self._makes_it(ticket, now + wait_s):
            return [Decision(ticket, self._unable(ticket, now))]
        self.lanes.put(ticket)
        decisions = self._start(now)
        while self._overfull():
            victim = self.lanes.least(by_tokens=self.lanes.requests <= self.policy.max_requests)
            self.lanes.drop(victim)
            decisions.append(Decision(victim, self._full()))
        return decisions + self._start(now)

    def expire(self, ticket: Ticket, now: float) -> list[Decision]:
        """The time has come by which a request that waits had to start."""
        self.lanes.drop(ticket)
        return [Decision(ticket, self._unable(ticket, now)), *self._start(now)]

    def withdraw(self, ticket: Ticket, now: float) -> list[Decision]:
        """A request that waits is not wanted any more."""
        self.lanes.drop(ticket)
        return self._start(now)

    def close(self) -> list[Decision]:
        """The model goes: what waits is refused."""
        decisions = []
        while self.lanes.requests:
            ticket = self.lanes.least()
            self.lanes.drop(ticket)
            decisions.append(Decision(ticket, gone(self.model)))
        return decisions

    def done(self, ticket: Ticket, now: float, usage: Usage | None) -> list[Decision]:
        """A request holds its places no more; ``usage`` is there where it was completed."""
        self.running -= ticket.width
        if ticket.submitted is not None:
            seconds = now - ticket.submitted
            if usage is not None:
                self.estimator.served(ticket, seconds, usage)
            elif ticket.deadline is not None and now >= ticket.deadline:
                self.estimator.overran(ticket, seconds)
        return self._start(now)

    def wait_s(self, ticket: Ticket) -> float:
        """Return how long a request that comes now is expected to wait, in seconds."""
        head = self._head()
        if self._fits(ticket) and (head is None or self._overtakes(ticket, head)):
            return 0.0
        return (self.lanes.ahead_s(ticket) + self.estimator.mean_s) / self.concurrency

    def _start(self, now: float) -> list[Decision]:
        """Fill the places that are free."""
        decisions: list[Decision] = []
        while True:
            ticket = self._head()
            if ticket is None:
                return decisions
            overtakes = not self._fits(ticket)
            if overtakes:
                # Few overtake it, or it would never find so many places free at once.
                urgent = self.lanes.head(
                    [one for one in self._open() if _RANK[one] < _RANK[ticket.priority]]
                )
                if urgent is None or not self._overtakes(urgent, ticket):
                    return decisions
                ticket = urgent
            alone = self.lanes.requests == 1
            if not self._makes_it(ticket, now, alone=alone):
                self.lanes.drop(ticket)
                decisions.append(Decision(ticket, self._unable(ticket, now)))
                continue
            self.lanes.take(ticket)
            decisions.append(self._admitted(ticket, overtakes=overtakes))

    def _admitted(self, ticket: Ticket, *, overtakes: bool = False) -> Decision:
        ticket.width = min(ticket.width, self._limit(ticket.priority))
        self.running += ticket.width
        self._overtaken = self._overtaken + 1 if overtakes else 0
        return Decision(ticket)

    def _head(self) -> Ticket | None:
        """Return the ticket whose turn it is; mostly nothing waits, and that is quickly seen."""
        return self.lanes.head(self._open()) if self.lanes.requests else None

    def _open(self) -> list[Priority]:
        """Return the classes that a place is free for, the most urgent first."""
        return [one for one in Priority if self.running < self._limit(one)]

    def _fits(self, ticket: Ticket) -> bool:
        limit = self._limit(ticket.priority)
        return self.running + min(ticket.width, limit) <= limit

    def _overtakes(self, ticket: Ticket, head: Ticket) -> bool:
        """Whether a ticket may go before the one that waits for more places than are free."""
        more_urgent = _RANK[ticket.priority] < _RANK[head.priority]
        return more_urgent and self._overtaken < self.concurrency and self._fits(ticket)

    def _limit(self, priority: Priority) -> int:
        """Return how many places may be taken once a request of this class has started."""
        if priority is Priority.INTERACTIVE:
            return self.concurrency
        return max(1, self.concurrency - round(self.concurrency * self.policy.headroom))

    def _makes_it(self, ticket: Ticket, start: float, *, alone: bool = False) -> bool:
        """Whether a request that starts then can be expected to meet its deadline.

        A place that nobody else waits for is given to whoever has any time left: that takes
        nothing from anyone, and what it needs is learned.
        """
        if ticket.deadline is None:
            return True
        return start < ticket.deadline if alone else start + ticket.service_s <= ticket.deadline

    def _overfull(self) -> bool:
        requests, policy = self.lanes.requests, self.policy
        if requests <= 1:
            return requests > policy.max_requests
        return requests > policy.max_requests or self.lanes.input_tokens > policy.max_tokens

    def _full(self) -> ServeError:
        return ServeError(
            Code.UNAVAILABLE,
            f"model {self.model!r} is busy and its queue is full; come back later",
            reason="OVERLOADED",
            retry_after_s=self._retry_s(),
        )

    def _unable(self, ticket: Ticket, now: float) -> ServeError:
        """Refuse one that cannot start in time, or that is past its time already."""
        if ticket.deadline is not None and ticket.deadline <= now:
            return ServeError(
                Code.DEADLINE_EXCEEDED,
                f"the deadline passed while the request waited for model {self.model!r}",
                reason="EXPIRED_IN_QUEUE",
                retry_after_s=self._retry_s(),
            )
        self.estimator.doubt(ticket)
        return ServeError(
            Code.UNAVAILABLE,
            f"model {self.model!r} is too busy to meet the deadline",
            reason="WOULD_MISS_DEADLINE",
            retry_after_s=self._retry_s(),
        )

    def _retry_s(self) -> float:
        """Return after how long what waits now is expected to be served."""
        low, high = RETRY_S
        if not self.estimator.mean_s:
            return FIRST_RETRY_S
        work_s = self.lanes.work_s + self.estimator.mean_s
        return min(high, max(low, work_s / self.concurrency))
