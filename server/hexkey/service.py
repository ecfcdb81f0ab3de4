"""The one path of a request: validate, route, admit, run, meter. Both wires call only this."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from hexkey import routing, validation
from hexkey.metering import Meter
from hexkey.types import Began, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import TracebackType

    from hexkey.admission import Gate, Permit
    from hexkey.metrics import Metrics
    from hexkey.pool import Pool
    from hexkey.routing import Plan
    from hexkey.types import Event, Request
    from hexkey.validation import Limits


class Service:
    """Says the task, finds the model, keeps the promise that every request settles once."""

    def __init__(self, pool: Pool, gate: Gate, metrics: Metrics, limits: Limits) -> None:
        self.pool = pool
        self.metrics = metrics
        self._gate = gate
        self._limits = limits

    def run(self, request: Request) -> Run:
        """Return the run of a request, to be entered with ``async with``.

        Entering raises ``ServeError`` for what is refused; iterating yields ``Delta`` and
        ``Finish`` events and ends with ``Usage``, or raises ``ServeError``. Leaving the block,
        however it happens, settles the request and frees what it holds.
        """
        return Run(self, request)

    def explain(self, request: Request) -> Plan:
        """Return how a request would be routed, without running it."""
        validation.validate(request, self._limits)
        plan = routing.route(request, self.pool.catalog)
        self.pool.ensure_able(plan.model, request.payload)
        return plan

    def admit(self, request: Request, plan: Plan) -> Permit:
        """Return the permit to run a planned request."""
        return self._gate.admit(plan.model, request.deadline, asyncio.get_running_loop().time())


class Run:
    """One request under way; see ``Service.run``."""

    __slots__ = ("_charge", "_events", "_meter", "_permit", "_request", "_service", "plan")

    plan: Plan

    def __init__(self, service: Service, request: Request) -> None:
        self._service = service
        self._request = request
        self._meter = Meter(service.metrics, request)

    @property
    def model(self) -> str:
        """Name of the model that serves."""
        return self.plan.model

    @property
    def notes(self) -> tuple[str, ...]:
        """What the caller should know about how the request is served."""
        return self._service.pool.notes(self.plan.model, self._request.payload)

    async def __aenter__(self) -> Self:
        """Validate, route and admit."""
        try:
            self.plan = self._service.explain(self._request)
            self._meter.routed(self.plan.model)
            self._permit = self._service.admit(self._request, self.plan)
            self._meter.admitted()
        except BaseException as error:
            self._meter.settle(error)
            raise
        pool = self._service.pool
        self._charge = pool.billing.open(self.plan.model, self._request.task, self._request.tenant)
        self._events: AsyncGenerator[Event | Began, None] = pool.run(
            self._request, self.plan, self._permit, self._charge
        )
        self._service.metrics.of_engine(self.plan.model).in_flight.inc()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Settle: close the engine's stream, give the permit back, write the receipt."""
        try:
            with self._permit:
                await self._events.aclose()
        finally:
            self._service.metrics.of_engine(self.plan.model).in_flight.dec()
            self._meter.settle(error, self._charge)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Return the next event."""
        while isinstance(event := await self._events.__anext__(), Began):
            self._meter.began(event)
        if type(event) is Usage:
            event.cost = self._charge.finish(event)
        self._meter.note(event)
        return event
