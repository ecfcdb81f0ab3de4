"""One request under way, from the moment a wire enters it until it has settled."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Self

import msgspec

from hexkey import routing
from hexkey.attempt import ENGINE_FAILED, Attempt
from hexkey.drafts import Diverged, Reading
from hexkey.errors import Code, ServeError
from hexkey.metering import Meter, Outcome
from hexkey.types import Began, Task, Usage

if TYPE_CHECKING:
    from types import TracebackType

    from hexkey.charge import Charge
    from hexkey.identity.quota import Reservation
    from hexkey.routing import Detected, Pair, Plan, Route
    from hexkey.service import Service
    from hexkey.sessions import Recalled, Session
    from hexkey.types import Event, Request, Timing

# A model that is full, too slow for the deadline, or unable to do what is asked beside the task
# need not be the only one.
_NEXT = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.INVALID_ARGUMENT})


class Run:
    """One request under way; see ``Service.run``.

    Until its first event is out, a request whose model is full or fails goes to the next route of
    its plan: until its last is known where the answer is read whole. ``seal`` ends that early,
    where the caller is told who serves.
    """

    __slots__ = (
        "_ahead", "_attempt", "_charge", "_exposed", "_hold", "_leaving", "_meter",
        "_request", "_routes", "_sealed", "_service", "_session", "cached", "plan", "route",
    )  # fmt: skip

    plan: Plan
    route: Route
    """The route under way, one of the plan's."""
    cached: bool
    """Whether the answer is a remembered suggestion, for which no model computed."""
    _attempt: Attempt | Recalled | Reading

    def __init__(self, service: Service, request: Request) -> None:
        self._service = service
        self._request = request
        self._meter = Meter(service.metrics, request, service.tracer)
        self._exposed = service.pool.billing.may_see_cost(request.caller)
        self._session: Session | None = None
        self._hold: Reservation | None = None
        self.cached = False
        self._charge: Charge | None = None
        self._leaving = False
        self._sealed = False
        self._ahead: deque[Event] = deque()  # of an answer that is read whole

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

    def spoken(self, _index: int) -> tuple[Pair | None, Detected | None]:
        """From which language to which a text is translated, and the source if it was found."""
        return self.pair, self.plan.detected

    @property
    def notes(self) -> tuple[str, ...]:
        """What the caller should know about how the request is served."""
        said = self._service.pool.notes(self.route.model, self._request.payload)
        return (*routing.remarks(self._request.payload, self.route), *said)

    def seal(self) -> None:
        """Stay with the model under way: the caller has been told."""
        self._sealed = True

    @property
    def traceparent(self) -> str:
        """Its place in its trace, to be told to the caller; empty without tracing."""
        return self._meter.traceparent

    @property
    def timing(self) -> Timing | None:
        """Where the time went until now; None for callers who may not see it."""
        return self._meter.timing() if self._exposed else None

    @property
    def first_at(self) -> float:
        """When its output began, on ``perf_counter``; 0 until then."""
        return self._meter.first_at

    async def __aenter__(self) -> Self:
        """Validate, route and admit."""
        service = self._service
        try:
            self.plan = await service.plan(self._request)
            self._routes = deque(self.plan.routes)
            self.route = self.plan.routes[0]
            self._meter.routed(self.route.model)
            # Before it supersedes another: what is refused here ends nobody else's request.
            self._hold = service.reserve(self._request, self.route.model)
            self._session = service.sessions.begin(self._request, self.route.model, self._hold)
            await self._start()
        except BaseException as caught:
            error = self._ended_with(caught)
            self._settle(error)
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
            self._settle(error)
        if error is not caught and error is not None:
            raise error from None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Return the next event."""
        if not self._request.whole:
            event = await self._next()
            self._sealed = True
            return event
        if not self._sealed:
            while type(event := await self._next()) is not Usage:
                self._ahead.append(event)
            self._ahead.append(event)
            self._sealed = True
        return self._ahead.popleft() if self._ahead else await self._next()

    async def _next(self) -> Event:
        """Return the next event of whichever model serves in the end."""
        while True:
            try:
                event = await self._attempt.next_event()
            except ServeError as error:
                if not self._falls_back(error):
                    raise
                await self._give_up(error)
                await self._begin()
                continue
            except Diverged:
                await self._begin_anew()
                continue
            if not isinstance(event, Began):
                break
            self._meter.began(event)
        if type(event) is Usage and self._charge is not None:
            cost = self._charge.finish(event)
            if self._exposed:
                event.cost, event.timing = cost, self._meter.timing()
        self._meter.note(event)
        if self._session is not None:
            self._session.note(event)
        return event

    async def _start(self) -> None:
        """Find the answer remembered or in the making, or begin the first route."""
        if self._session is not None:
            known = self._session.known()
            if known is not None:
                self._attempt = known
                self._meter.admitted()
                if isinstance(known, Reading):
                    self._charge = known.charge
                    self._meter.began(Began(0.0))
                else:
                    self.cached = True
                    self._charge = self._open_charge()
                return
            await self._pause(self._session)
        self._service.retries.deposit()
        await self._begin()
        routed = self._service.metrics.routed
        routed.labels(self._request.task, self.model, self.plan.reason).inc()

    async def _begin_anew(self) -> None:
        """Begin the first route after all: the answer in the making was another one."""
        await self._attempt.close()
        if self._charge is not None:
            self._charge.give_up(Outcome.SUPERSEDED.value)
        if self._session is not None:
            self._session.diverged()
            await self._pause(self._session)
        if self._sealed:
            self._routes = deque(self.plan.routes[:1])
        await self._begin()

    async def _pause(self, session: Session) -> None:
        """Wait whether more is typed."""
        await session.pause(*self._service.prospect(self._request, self.model))
        session.at_model = True

    async def _begin(self) -> None:
        """Begin the next route that takes the request; ``ServeError`` where none does."""
        service, request = self._service, self._request
        while True:
            self.route = self._routes.popleft()
            leg = self.route.legs[0]
            self._meter.routed(self.route.model)
            try:
                service.pool.ensure_able(self.route.model, request.payload)
                self._meter.queued()
                permit = await service.admit(request, leg)
                break
            except ServeError as error:
                if not self._routes or error.code not in _NEXT:
                    raise
                self._count_fallback(error)
        self._meter.admitted()
        if self._charge is None:
            self._charge = self._open_charge()
        else:
            self._charge.next_leg(leg.model)
        session = self._session
        if session is not None:
            session.begins(self.route.model)
            session = session if session.drafts else None
        if session is not None:
            # A newer request may take it over, with a deadline of its own.
            request = msgspec.structs.replace(request, deadline=None)
        attempt = Attempt(self.route, request, service, self._meter, self._elsewhere)
        self._attempt = attempt
        attempt.begin(permit, self._charge)
        if session is not None:
            self._attempt = session.draft(attempt, self._charge)

    def _settle(self, error: BaseException | None) -> None:
        """Write the receipt and give the reservation back, whatever fails on the way."""
        tokens = pico = 0
        charge, ran = self._charge, self._charge is not None
        if ran and isinstance(self._attempt, Reading) and self._attempt.passed_on:
            # So is the account, and what was read is the newer request's.
            charge = None
            self._meter.forget()
        try:
            receipt = self._meter.settle(error, charge)
            if (spent := receipt.spent) is not None and self._hold is not None:
                # Who leaves an engine at work is told no usage; the input was read all the same.
                read = receipt.input_tokens or (self._hold.input_tokens if spent.time else 0)
                tokens, pico = read + receipt.output_tokens, spent.money
        finally:
            if self._hold is not None:
                self._service.access.settle(self._hold, tokens, pico)
        if receipt.task is Task.TRANSLATE:
            self._service.access.translated(receipt.tenant, receipt.input_characters)
        if ran:
            self._service.record(receipt)

    def _open_charge(self) -> Charge:
        request, model = self._request, self.route.legs[0].model
        return self._service.pool.billing.open(model, request.task, request.tenant)

    def _ended_with(self, caught: BaseException | None) -> BaseException | None:
        """Return what a block ended with; a cancellation may be a newer request's doing."""
        return caught if self._session is None else self._session.close(caught)

    async def _give_up(self, error: ServeError) -> None:
        self._leaving = False
        if self._routes[0] is not self.route:
            self._count_fallback(error)
        await self._attempt.close()
        self._ahead.clear()
        self._meter.gave_up()
        if self._charge is not None:
            self._charge.give_up(Outcome.ERROR.value)

    def _falls_back(self, error: ServeError) -> bool:
        if self._sealed:
            return False
        if self._routes and (
            self._leaving or (error.code in ENGINE_FAILED and self._service.retries.take())
        ):
            return True
        request = self._request
        if not (error.lost and request.whole) or request.again or self._service.stopping:
            return False
        # Its model's next process may do it, as one that had written nothing is given to that by
        # the supervisor: once, and whatever the budget says, since all of a batch are lost at once.
        self._request = msgspec.structs.replace(request, again=True)
        self._routes.appendleft(self.route)
        return True

    def _elsewhere(self) -> bool:
        """Return whether the request leaves the model that keeps it waiting."""
        if not self._sealed and self._routes and self._service.retries.take():
            self._leaving = True
        return self._leaving

    def _count_fallback(self, error: ServeError) -> None:
        metrics, task = self._service.metrics, self._request.task.value
        metrics.fallbacks.labels(task, self.route.model, error.code.value).inc()
