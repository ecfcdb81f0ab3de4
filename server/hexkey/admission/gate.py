"""The actor around the schedulers: it has the clock, the callers that wait and their permits."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Self

from hexkey.admission.scheduler import Decision, Scheduler
from hexkey.admission.ticket import Ticket, measure
from hexkey.errors import ServeError, gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from hexkey.admission.ticket import Size
    from hexkey.config import QueueConfig
    from hexkey.types import Priority, Request, Usage

DEFAULT_CONCURRENCY = 64
"""Places of an engine that has not told how many requests it computes at once."""


class Permit:
    """The right to run one request on one model; leaving its ``with`` block gives it back.

    The engine may be done earlier: ``settle`` then makes room at once, however slowly the caller
    reads what is left.
    """

    __slots__ = ("_queue", "_ticket", "model")

    def __init__(self, queue: _Queue, model: str, ticket: Ticket) -> None:
        self._queue: _Queue | None = queue
        self._ticket = ticket
        self.model = model

    def submit(self) -> None:
        """The request is sent to the engine."""
        self._ticket.submitted = asyncio.get_running_loop().time()

    def settle(self, usage: Usage | None) -> None:
        """The engine is free of the request, with ``usage`` if it was completed; once counts."""
        if self._queue is not None:
            queue, self._queue = self._queue, None
            queue.done(self._ticket, usage)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.settle(None)


class Gate:
    """Issues permits: at once, when it is a request's turn, or not at all.

    ``queues`` is the policy of each model, ``weights`` of each tenant (1 where not named);
    ``places`` returns how many requests a model's engine makes use of at once, 0 if unknown.
    Whatever is asked of a model that is there no more raises ``ServeError`` UNAVAILABLE.
    """

    def __init__(
        self,
        queues: Mapping[str, QueueConfig],
        weights: Mapping[str, float] | None = None,
        places: Callable[[str], int] = lambda _model: 0,
    ) -> None:
        self._places = places
        self._weights: Mapping[str, float] = {}
        self._queues: dict[str, _Queue] = {}
        self.configure(queues, weights or {})

    def configure(self, queues: Mapping[str, QueueConfig], weights: Mapping[str, float]) -> None:
        """Take over a new configuration; what runs is not touched.

        What waits for a model that is there no more is refused, and may go elsewhere.
        """
        self._weights = weights
        before, self._queues = self._queues, {}
        for model, policy in queues.items():
            queue = before.pop(model, None) or _Queue(Scheduler(model, policy, self._weight))
            queue.scheduler.policy = policy
            self._queues[model] = queue
        for queue in before.values():
            queue.close()

    async def admit(self, request: Request, model: str) -> Permit:
        """Return a permit once it is this request's turn; ``ServeError`` where that cannot be.

        A caller that is cancelled while it waits leaves nothing behind.
        """
        queue = self._queue(model)
        scheduler = queue.scheduler
        scheduler.concurrency = (
            scheduler.policy.concurrency or self._places(model) or DEFAULT_CONCURRENCY
        )
        ticket = _ticket(request, scheduler)
        await queue.turn(ticket)
        if self._queues.get(model) is not queue:
            # Its turn came, and then, before it noticed, a reload that took the model out.
            queue.done(ticket, None)
            raise gone(model)
        return Permit(queue, model, ticket)

    def work(self, request: Request, model: str) -> tuple[int, int]:
        """Return about how many tokens a request's input is, and with its output at most."""
        ticket = _ticket(request, self._queue(model).scheduler)
        return ticket.input_tokens, ticket.tokens

    def serves(self, model: str) -> bool:
        """Whether there is such a model."""
        return model in self._queues

    def running(self, model: str) -> int:
        """Places of a model's engine that are taken."""
        return self._queue(model).scheduler.running

    def waiting(self, model: str) -> int:
        """Requests that wait for a model."""
        return self._queue(model).scheduler.lanes.requests

    def wait_s(self, request: Request, model: str, size: Size | None = None) -> float:
        """Return how long a request that came now would be expected to wait.

        ``size`` is its payload's, for who asks of many models.
        """
        scheduler = self._queue(model).scheduler
        return scheduler.wait_s(_ticket(request, scheduler, size))

    def expected_s(self, request: Request, model: str) -> float:
        """Return how long one that came now would be expected to take, its wait included."""
        scheduler = self._queue(model).scheduler
        ticket = _ticket(request, scheduler)
        return scheduler.wait_s(ticket) + scheduler.estimator.times(ticket.tokens)[0]

    def _queue(self, model: str) -> _Queue:
        queue = self._queues.get(model)
        if queue is None:
            raise gone(model)
        return queue

    def _weight(self, tenant: str) -> float:
        return self._weights.get(tenant, 1.0)

    def lanes(self) -> Iterator[tuple[str, Priority, int, int]]:
        """Yield (model, priority, requests, input tokens) of what waits."""
        for model, queue in list(self._queues.items()):
            for priority, lane in queue.scheduler.lanes.of.items():
                yield model, priority, lane.requests, lane.input_tokens


class _Queue:
    """Carries out what one model's scheduler decides."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self._waiters: dict[Ticket, asyncio.Future[ServeError | None]] = {}

    async def turn(self, ticket: Ticket) -> None:
        """Return once the ticket may start; ``ServeError`` if it may not."""
        loop = asyncio.get_running_loop()
        decisions = self.scheduler.offer(ticket, loop.time())
        if decisions == [Decision(ticket)]:
            return
        waiter = self._waiters[ticket] = loop.create_future()
        self._act(decisions)
        timer = None
        if not waiter.done() and ticket.deadline is not None:
            timer = loop.call_at(ticket.deadline - ticket.service_s, self._expire, ticket)
        try:
            refusal = await waiter
        except asyncio.CancelledError:
            if self._waiters.pop(ticket, None):
                self._act(self.scheduler.withdraw(ticket, loop.time()))
            elif not waiter.cancelled() and waiter.result() is None:
                # It was let in and left before it noticed.
                self.done(ticket, None)
            raise
        finally:
            if timer is not None:
                timer.cancel()
        if refusal is not None:
            raise refusal

    def done(self, ticket: Ticket, usage: Usage | None) -> None:
        """The engine is free of the request."""
        self._act(self.scheduler.done(ticket, asyncio.get_running_loop().time(), usage))

    def close(self) -> None:
        """Refuse all that waits: the model goes."""
        self._act(self.scheduler.close())

    def _expire(self, ticket: Ticket) -> None:
        if ticket in self._waiters:
            self._act(self.scheduler.expire(ticket, asyncio.get_running_loop().time()))

    def _act(self, decisions: list[Decision]) -> None:
        # One by one, and not by recursion: a whole queue may have left at once.
        todo = deque(decisions)
        while todo:
            decision = todo.popleft()
            waiter = self._waiters.pop(decision.ticket)
            if not waiter.cancelled():
                waiter.set_result(decision.refusal)
            elif decision.refusal is None:
                # Its turn came after it had left and before it could say so.
                now = asyncio.get_running_loop().time()
                todo += self.scheduler.done(decision.ticket, now, None)


def _ticket(request: Request, scheduler: Scheduler, size: Size | None = None) -> Ticket:
    size = size or measure(request.payload)
    input_tokens = scheduler.estimator.input_tokens(size)
    return Ticket(
        tenant=request.tenant,
        priority=request.priority,
        deadline=request.deadline,
        width=size.outputs,
        input_tokens=input_tokens,
        # What no limit bounds is taken to be as long as what it is made of.
        tokens=input_tokens + (size.output_tokens or input_tokens),
    )
