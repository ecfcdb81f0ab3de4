"""The one path of a request: validate, route, admit, run, meter. Both wires call only this."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Self, cast

import msgspec

from hexkey import routing, tasks
from hexkey.attempt import ENGINE_FAILED, Attempt
from hexkey.board import Board
from hexkey.config import AutocompleteConfig
from hexkey.detection import Detector, possible
from hexkey.errors import Code, ServeError
from hexkey.glossaries import Glossaries
from hexkey.identity.access import Access
from hexkey.identity.keyring import ensure_model, ensure_task, may_use
from hexkey.metering import Meter, Outcome
from hexkey.retries import RetryBudget
from hexkey.routing import Rules
from hexkey.sessions import Recalled, Sessions
from hexkey.types import Began, Task, Translate, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from hexkey.administration import Administration
    from hexkey.admission import Gate, Permit
    from hexkey.charge import Charge
    from hexkey.engines.lexicon import Lexed, Question
    from hexkey.identity.quota import Reservation
    from hexkey.metering import Receipt, Tracer
    from hexkey.metrics import Metrics
    from hexkey.pool import Pool
    from hexkey.routing import Candidate, Detected, Leg, Pair, Plan, Route
    from hexkey.sessions import Session
    from hexkey.types import Caller, Event, Request, Timing
    from hexkey.validation import Limits

# A model that is full, too slow for the deadline, or unable to do what is asked beside the task
# need not be the only one.
_NEXT = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.INVALID_ARGUMENT})


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
        self.board = Board(pool, gate, metrics)
        self.rules = Rules()
        self.retries = RetryBudget()
        self._detector = Detector()
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

    async def plan(self, request: Request) -> Plan:
        """Return how a request is to be served; ``ServeError`` where it cannot be."""
        request, catalog, detected = await self._prepared(request)
        plan = routing.route(request, catalog, self.board.reader(request), self.rules)
        return plan if detected is None else replace(plan, detected=detected)

    async def explain(self, request: Request) -> Plan:
        """Return how a request would be routed and why, without running it.

        Where nothing can serve it the plan has no routes; ``ServeError`` only for what is invalid
        or not the caller's to ask. What it is expected to take is for those who may see costs.
        """
        request, catalog, detected = await self._prepared(request)
        plan = routing.decide(request, catalog, self.board.reader(request), self.rules)
        told = plan if self.pool.billing.may_see_cost(request.caller) else plan.without_estimates()
        return replace(told, detected=detected)

    def catalog(self, caller: Caller) -> tuple[Candidate, ...]:
        """Return the models that a caller may use, in the configuration's order."""
        return tuple(one for one in self.pool.catalog if may_use(caller, one.name))

    async def detect(self, caller: Caller, texts: Sequence[str]) -> list[Detected]:
        """Return each text's (language, confidence), among the languages translated from."""
        ensure_task(caller, Task.TRANSLATE)
        among = routing.languages(self.catalog(caller)) or None
        return [await self._detector.detect(text, among) for text in texts]

    async def lex(self, request: Request, question: Question) -> tuple[str, Lexed]:
        """Return a model's answer about its tokens, and the model: the one to serve ``request``.

        It counts as one of the tenant's requests; ``ServeError`` as for any.
        """
        plan = await self.plan(request)
        model = plan.routes[0].model
        hold = self.access.reserve(request.tenant, 0)
        try:
            return model, await self.pool.lex(model, question)
        finally:
            self.access.settle(hold, 0, 0)

    def reserve(self, request: Request, model: str) -> Reservation:
        """Reserve a request's part of its tenant's quota; ``ServeError`` RESOURCE_EXHAUSTED.

        Of what it will supersede it takes the place over.
        """
        input_tokens, tokens = self._gate.work(request, model)
        older = self.sessions.held(request)
        return self.access.reserve(request.tenant, tokens, input_tokens, older)

    async def admit(self, request: Request, leg: Leg) -> Permit:
        """Return the permit to run one leg of a planned request, once it is its turn."""
        return await self._gate.admit(request, leg.model)

    async def languages(self, request: Request) -> list[Detected]:
        """Return the language found for each text of a translation that says none.

        Empty where it says one, or nothing translates into its target; ``ServeError`` for what is
        invalid or not the caller's to ask.
        """
        among = possible(request, self._allowed(request), pivot=self.rules.pivot)
        if among is not None and not among:
            return []
        return await self._detector.each(cast("Translate", request.payload).texts, among)

    async def _prepared(
        self, request: Request
    ) -> tuple[Request, Sequence[Candidate], Detected | None]:
        """Return a valid request, the models its caller may use, and its language if found."""
        catalog = self._allowed(request)
        among = possible(request, catalog, pivot=self.rules.pivot)
        if among is not None and not among:
            return request, catalog, None
        payload = cast("Translate", request.payload)
        detected = await self._detector.detect("\n".join(payload.texts), among)
        payload = msgspec.structs.replace(payload, source=detected.language)
        # Looked up anew: a reload may have come while the language was looked for.
        catalog = self.catalog(request.caller)
        return msgspec.structs.replace(request, payload=payload), catalog, detected

    def _allowed(self, request: Request) -> Sequence[Candidate]:
        """Return the models that the caller of a valid request may use; ``ServeError`` if not."""
        tasks.validate(request, self.limits)
        caller = request.caller
        ensure_task(caller, request.task)
        if request.model in {one.name for one in self.pool.catalog}:
            ensure_model(caller, request.model)
        return self.catalog(caller)


class Run:
    """One request under way; see ``Service.run``.

    Until its first event is out, a request whose model is full or fails goes to the next route of
    its plan; ``seal`` ends that early, where the caller is told who serves.
    """

    __slots__ = (
        "_attempt", "_charge", "_exposed", "_hold", "_leaving", "_meter", "_request", "_routes",
        "_sealed", "_service", "_session", "cached", "plan", "route",
    )  # fmt: skip

    plan: Plan
    route: Route
    """The route under way, one of the plan's."""
    cached: bool
    """Whether the answer is a remembered suggestion, for which no model computed."""
    _attempt: Attempt | Recalled

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
        while True:
            try:
                event = await self._attempt.next_event()
            except ServeError as error:
                if not self._falls_back(error):
                    raise
                await self._give_up(error)
                await self._begin()
                continue
            if not isinstance(event, Began):
                break
            self._meter.began(event)
        self._sealed = True
        if type(event) is Usage and self._charge is not None:
            cost = self._charge.finish(event)
            if self._exposed:
                event.cost, event.timing = cost, self._meter.timing()
        self._meter.note(event)
        if self._session is not None:
            self._session.note(event)
        return event

    async def _start(self) -> None:
        """Find the answer among what is remembered, or begin the first route."""
        if self._session is not None:
            if (recalled := self._session.recall()) is not None:
                self.cached = True
                self._meter.admitted()
                self._charge = self._open_charge()
                self._attempt = recalled
                return
            await self._session.pause()
        self._service.retries.deposit()
        await self._begin()
        routed = self._service.metrics.routed
        routed.labels(self._request.task.value, self.model, self.plan.reason.value).inc()

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
        attempt = Attempt(self.route, request, service, self._meter, self._elsewhere)
        self._attempt = attempt
        attempt.begin(permit, self._charge)

    def _settle(self, error: BaseException | None) -> None:
        """Write the receipt and give the reservation back, whatever fails on the way."""
        tokens = pico = 0
        try:
            receipt = self._meter.settle(error, self._charge)
            if (spent := receipt.spent) is not None and self._hold is not None:
                # Who leaves an engine at work is told no usage; the input was read all the same.
                read = receipt.input_tokens or (self._hold.input_tokens if spent.time else 0)
                tokens, pico = read + receipt.output_tokens, spent.money
        finally:
            if self._hold is not None:
                self._service.access.settle(self._hold, tokens, pico)
        if receipt.task is Task.TRANSLATE:
            self._service.access.translated(receipt.tenant, receipt.input_characters)
        if self._charge is not None:
            self._service.record(receipt)

    def _open_charge(self) -> Charge:
        request, model = self._request, self.route.legs[0].model
        return self._service.pool.billing.open(model, request.task, request.tenant)

    def _ended_with(self, caught: BaseException | None) -> BaseException | None:
        """Return what a block ended with; a cancellation may be a newer request's doing."""
        return caught if self._session is None else self._session.close(caught)

    async def _give_up(self, error: ServeError) -> None:
        self._leaving = False
        self._count_fallback(error)
        await self._attempt.close()
        self._meter.gave_up()
        if self._charge is not None:
            self._charge.give_up(Outcome.ERROR.value)

    def _falls_back(self, error: ServeError) -> bool:
        if self._sealed or not self._routes:
            return False
        if self._leaving:
            return True
        return error.code in ENGINE_FAILED and self._service.retries.take()

    def _elsewhere(self) -> bool:
        """Return whether the request leaves the model that keeps it waiting."""
        if not self._sealed and self._routes and self._service.retries.take():
            self._leaving = True
        return self._leaving

    def _count_fallback(self, error: ServeError) -> None:
        metrics, task = self._service.metrics, self._request.task.value
        metrics.fallbacks.labels(task, self.route.model, error.code.value).inc()
