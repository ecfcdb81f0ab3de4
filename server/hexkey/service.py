"""The one path of a request: validate, route, admit, run, meter. Both wires call only this."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from hexkey import routing, tasks
from hexkey.board import Board
from hexkey.config import AutocompleteConfig
from hexkey.detection import Detector, possible
from hexkey.glossaries import Glossaries
from hexkey.identity.access import Access
from hexkey.identity.keyring import ensure_model, ensure_task, may_use
from hexkey.retries import RetryBudget
from hexkey.routing import Rules
from hexkey.run import Run
from hexkey.sessions import Sessions
from hexkey.types import ALL, Task, Translate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hexkey.administration import Administration
    from hexkey.admission import Gate, Permit
    from hexkey.engines.lexicon import Lexed, Question
    from hexkey.identity.quota import Reservation
    from hexkey.metering import Receipt, Tracer
    from hexkey.metrics import Metrics
    from hexkey.pool import Pool
    from hexkey.routing import Candidate, Detected, Leg, Plan
    from hexkey.types import Caller, Request
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
        plan = routing.decide(
            request, catalog, self.board.reader(request, only_told=True), self.rules
        )
        told = plan if self.pool.billing.may_see_cost(request.caller) else plan.without_estimates()
        return replace(told, detected=detected)

    def catalog(self, caller: Caller) -> tuple[Candidate, ...]:
        """Return the models that a caller may use, in the configuration's order."""
        catalog = self.pool.catalog
        if ALL in caller.models:
            return catalog
        return tuple(one for one in catalog if may_use(caller, one.name))

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

    def reserve(self, request: Request, model: str) -> Reservation | None:
        """Reserve a request's part of its tenant's quota; ``ServeError`` RESOURCE_EXHAUSTED.

        Of what it will supersede it takes the place over. None where its tenant has no bounds.
        """
        if not self.access.bounds(request.tenant):
            return None
        input_tokens, tokens = self._gate.work(request, model)
        older = self.sessions.held(request)
        return self.access.reserve(request.tenant, tokens, input_tokens, older)

    def prospect(self, request: Request, model: str) -> tuple[float, int]:
        """Return how long an answer is expected to take, and how many are at the model already."""
        gate = self._gate
        if not gate.serves(model):  # any more; whoever asks to be admitted is told
            return 0.0, 0
        return gate.expected_s(request, model), gate.running(model) + gate.waiting(model)

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
        payload = replace(payload, source=detected.language)
        # Looked up anew: a reload may have come while the language was looked for.
        catalog = self.catalog(request.caller)
        return replace(request, payload=payload), catalog, detected

    def _allowed(self, request: Request) -> Sequence[Candidate]:
        """Return the models that the caller of a valid request may use; ``ServeError`` if not."""
        tasks.validate(request, self.limits)
        caller = request.caller
        ensure_task(caller, request.task)
        if ALL not in caller.models and request.model in {one.name for one in self.pool.catalog}:
            ensure_model(caller, request.model)
        return self.catalog(caller)
