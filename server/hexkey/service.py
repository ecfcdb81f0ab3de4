"""The one path of a request: validate, route, admit, run, meter. Both wires call only this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec

from hexkey import routing, tasks
from hexkey.attempt import Attempt
from hexkey.config import AutocompleteConfig
from hexkey.glossaries import Glossaries
from hexkey.identity.access import Access
from hexkey.identity.keyring import ensure_model, ensure_task, may_use
from hexkey.metering import Meter
from hexkey.sessions import Recalled, Sessions
from hexkey.types import Began, Usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from hexkey.administration import Administration
    from hexkey.admission import Gate, Permit
    from hexkey.billing import Charge
    from hexkey.identity.quota import Reservation
    from hexkey.metering import Receipt, Tracer
    from hexkey.metrics import Metrics
    from hexkey.pool import Pool
    from hexkey.routing import Leg, Pair, Plan, Route
    from hexkey.sessions import Session
    from hexkey.types import Event, Request, Timing
    from hexkey.validation import Limits


class Service:
    """Says the task, finds the model, keeps the promise that every request settles once.

    ``record`` is told of every request that ran, once it is settled; ``tracer`` of every request.
    """

    def __init__(
        self,
        pool: Pool,
        gate: Gate,
        metrics: Metrics,
        limits: Limits,
        access: Access | None = None,
    ) -> None:
        self.pool = pool
        self.access = access or Access()
        self.metrics = metrics
        self.stopping = False
        self.record: Callable[[Receipt], None] = lambda _receipt: None
        self.tracer: Tracer | None = None
        self._gate = gate
        self.limits = limits
        self.sessions = Sessions(AutocompleteConfig(), metrics)
        self.administration: Administration | None = None
        self.glossaries = Glossaries()

    @property
    def ready(self) -> bool:
        """Whether requests are welcome: the models serve, and no stop is under way."""
        return self.pool.ready and not self.stopping

    def run(self, request: Request) -> Run:
        """Return the run of a request, to be entered with ``async with``.

        Entering raises ``ServeError`` for what is refused; iterating yields ``Delta`` and
        ``Finish`` events and ends with ``Usage``, or raises ``ServeError``. Leaving the block,
        however it happens, settles the request and frees what it holds.
        """
        return Run(self, request)

    def explain(self, request: Request) -> Plan:
        """Return how a request would be routed, without running it."""
        tasks.validate(request, self.limits)
        caller = request.caller
        ensure_task(caller, request.task)
        if request.model in {one.name for one in self.pool.catalog}:
            ensure_model(caller, request.model)
        catalog = [one for one in self.pool.catalog if may_use(caller, one.name)]
        return routing.route(request, catalog)

    def reserve(self, request: Request, model: str) -> Reservation:
        """Reserve a request's part of its tenant's quota; ``ServeError`` RESOURCE_EXHAUSTED."""
        return self.access.reserve(request.tenant, self._gate.work(request, model))

    async def admit(self, request: Request, leg: Leg) -> Permit:
        """Return the permit to run one leg of a planned request, once it is its turn."""
        return await self._gate.admit(request, leg.model)


class Run:
    """One request under way; see ``Service.run``."""

    __slots__ = (
        "_attempt", "_charge", "_exposed", "_hold", "_meter", "_request", "_service", "_session",
        "cached", "plan", "route",
    )  # fmt: skip

    plan: Plan
    route: Route
    """The route under way, one of the plan's."""
    cached: bool
    """Whether the answer is a remembered suggestion, for which no model computed."""

    def __init__(self, service: Service, request: Request) -> None:
        self._service = service
        self._request = request
        self._meter = Meter(service.metrics, request, service.tracer)
        self._exposed = service.pool.billing.may_see_cost(request)
        self._session: Session | None = None
        self.cached = False

    def whole(self) -> None:
        """Say, before it is entered, that nobody reads the answer before it is complete."""
        self._request = msgspec.structs.replace(self._request, whole=True)

    @property
    def model(self) -> str:
        """Name of the model that answers."""
        return self.route.model

    @property
    def pair(self) -> Pair | None:
        """From which language to which, where it translates."""
        return self.route.pair

    @property
    def notes(self) -> tuple[str, ...]:
        """What the caller should know about how the request is served."""
        return self._service.pool.notes(self.route.model, self._request.payload)

    @property
    def traceparent(self) -> str:
        """Its place in its trace, to be told to the caller; empty without tracing."""
        return self._meter.traceparent

    @property
    def timing(self) -> Timing | None:
        """Where the time went until now; None for callers who may not see it."""
        return self._meter.timing() if self._exposed else None

    async def __aenter__(self) -> Self:
        """Validate, route and admit."""
        service, request, meter = self._service, self._request, self._meter
        try:
            self.plan = service.explain(request)
            self.route = self.plan.routes[0]
            meter.routed(self.route.model)
            service.pool.ensure_able(self.route.model, request.payload)
            self._session = service.sessions.begin(request, self.route.model)
            self._hold = service.reserve(request, self.route.model)
            try:
                await self._begin()
            except BaseException:
                service.access.settle(self._hold, 0, 0)
                raise
            meter.admitted()
        except BaseException as caught:
            error = self._ended_with(caught)
            meter.settle(error)
            if error is not caught and error is not None:
                raise error from None
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        caught: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Settle: close the engine's stream, give the permit back, write the receipt."""
        error = self._ended_with(caught)
        try:
            await self._attempt.close()
        finally:
            receipt = self._meter.settle(error, self._charge)
            tokens = receipt.input_tokens + receipt.output_tokens
            spent = receipt.spent.money if receipt.spent else 0
            self._service.access.settle(self._hold, tokens, spent)
            self._service.record(receipt)
        if error is not caught and error is not None:
            raise error from None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Return the next event."""
        while isinstance(event := await self._attempt.next_event(), Began):
            self._meter.began(event)
        if type(event) is Usage:
            cost = self._charge.finish(event)
            if self._exposed:
                event.cost, event.timing = cost, self._meter.timing()
        self._meter.note(event)
        if self._session is not None:
            self._session.note(event)
        return event

    async def _begin(self) -> None:
        """Find the answer among what is remembered, or wait for the turn and start."""
        service, request, legs = self._service, self._request, self.route.legs
        if self._session is not None:
            if (recalled := self._session.recall()) is not None:
                self.cached = True
                self._charge = self._open_charge()
                self._attempt: Attempt | Recalled = recalled
                return
            await self._session.pause()
        self._meter.queued()
        permit = await service.admit(request, legs[0])
        self._charge = self._open_charge()
        attempt = self._attempt = Attempt(
            self.route,
            request,
            pool=service.pool,
            metrics=service.metrics,
            meter=self._meter,
            admit=service.admit,
        )
        attempt.begin(permit, self._charge)

    def _open_charge(self) -> Charge:
        request, model = self._request, self.route.legs[0].model
        return self._service.pool.billing.open(model, request.task, request.tenant)

    def _ended_with(self, caught: BaseException | None) -> BaseException | None:
        """Return what a block ended with; a cancellation may be a newer request's doing."""
        return caught if self._session is None else self._session.close(caught)
