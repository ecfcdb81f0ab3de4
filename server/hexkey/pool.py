"""The rack of models: runs admitted work on them, loads, unloads and replaces them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import msgspec

from hexkey.billing import Billing
from hexkey.config import CostConfig
from hexkey.engines.link import Link
from hexkey.engines.supervisor import Observer, State
from hexkey.errors import Code, ServeError, gone
from hexkey.rack import Rack
from hexkey.residency import Spec
from hexkey.tasks import entry_of
from hexkey.types import Priority, Terms, Translate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from hexkey.admission import Permit
    from hexkey.charge import Charge
    from hexkey.engines.frames import Step
    from hexkey.engines.lexicon import Lexed, Question
    from hexkey.engines.supervisor import HostSettings, Supervisor
    from hexkey.metrics import Metrics
    from hexkey.rack import Member
    from hexkey.routing import Candidate, Leg
    from hexkey.types import Began, Event, ModelInfo, Payload, Request, Usage

T = TypeVar("T")
_TURN = {Priority.INTERACTIVE: -1, Priority.NORMAL: 0, Priority.BATCH: 1}
"""Who goes first where a model's engine queues by itself."""


class Pool:
    """All models of this server; ``memory`` is what they may take together, in bytes, 0: any."""

    def __init__(
        self,
        models: Sequence[tuple[Candidate, HostSettings] | Spec],
        metrics: Metrics,
        observer: Observer,
        billing: Billing | None = None,
        *,
        memory: int = 0,
    ) -> None:
        specs = [Spec(*one) for one in models]
        self._metrics = metrics
        self.billing = billing or Billing(CostConfig(), [one.candidate.name for one in specs])
        self._progress = observer.progress
        self._rack = Rack(specs, self._observer, self.billing, memory=memory)
        metrics.watch_states(self._life)

    async def start(self) -> None:
        """Load what is to be there from the start; ``ServeError`` after stopping all."""
        await self._rack.start()

    async def stop(self) -> None:
        """Stop every model."""
        await self._rack.stop()

    async def load(self, name: str) -> None:
        """Return once a model serves; ``ServeError`` where there is none or it cannot."""
        member = self._member(name)
        await self._rack.load(member)
        if name != member.name:
            await member.supervisor.adapt(name, hold=True)

    async def attend(self, name: str) -> None:
        """Return once a model serves, waiting as a request does; ``ServeError`` where it does not.

        A load that begins for this goes on though who waits here leaves.
        """
        member = self._member(name)
        link = await member.supervisor.link(wait=True)
        if name != member.name:
            await member.supervisor.adapters.ensure(name, link, None)

    async def unload(self, name: str) -> None:
        """Let a model finish what it has and take it out of memory; a request loads it again.

        An adapter goes alone, its base and the others serve on.
        """
        member = self._member(name)
        if name != member.name:
            await member.supervisor.adapt(name, hold=False)
        else:
            await self._rack.unload(member)

    async def replace(self, models: Sequence[Spec]) -> None:
        """Serve these models from now on; ``ServeError`` leaves everything as it was.

        New and changed models are loaded before anything else changes; what they replace finishes
        what it has and ends.
        """
        await self._rack.replace(models)

    @property
    def catalog(self) -> tuple[Candidate, ...]:
        """The models as the router sees them, in the configuration's order."""
        return self._rack.catalog

    @property
    def ready(self) -> bool:
        """Whether every model serves that is not left for its first request."""
        return all(
            one.supervisor.state is State.READY for one in self._rack.members.values() if one.wanted
        )

    def states(self) -> dict[str, State]:
        """Return each model's state; an adapter's is that of its base, where that holds it."""
        return {one.name: self._state(one.name) for one in self._rack.catalog}

    def _life(self) -> dict[str, State]:
        return {name: one.supervisor.state for name, one in self._rack.members.items()}

    def info(self, model: str) -> ModelInfo | None:
        """Return what a model said of itself when it was last loaded, if there still is one."""
        member = self._rack.find(model)
        return member.supervisor.info if member is not None else None

    def places(self, model: str) -> int:
        """Return how many requests a model makes use of at once; 0 where it has no say in this."""
        info = self.info(model)
        return info.concurrency if info else 0

    def vitals(self, model: str) -> tuple[bool, int]:
        """Return whether a model serves now, and how many requests wait in its host."""
        supervisor = self._member(model).supervisor
        queued = max(0, supervisor.waiting - supervisor.running)
        return supervisor.state is State.READY, queued

    def pid(self, model: str) -> int | None:
        """Return a model's host process; None where there is none now, or no such model."""
        member = self._rack.find(model)
        return member.supervisor.pid if member is not None else None

    def pids(self) -> dict[str, int | None]:
        """Return each model's host process."""
        return {name: one.supervisor.pid for name, one in self._rack.members.items()}

    def run(
        self,
        request: Request,
        leg: Leg,
        permit: Permit,
        charge: Charge,
        elsewhere: Callable[[], bool] = lambda: False,
    ) -> AsyncGenerator[Event | Began, None]:
        """Return the events of an admitted leg; the permit is the proof that it may run.

        ``elsewhere`` is asked where the model would keep it waiting; see ``Supervisor.run``.
        """
        if permit.model != leg.model:
            raise ValueError(f"a permit for {permit.model} cannot run {leg.model}")

        def submitted(host_id: int, sent_ns: int) -> None:
            charge.join(host_id, sent_ns)
            permit.submit()

        def complete(usage: Usage) -> None:
            charge.complete()
            permit.settle(usage)

        member = self._rack.find(leg.model)
        if member is None:
            raise gone(leg.model)
        adapter = leg.model if leg.model != member.name else ""
        terms = Terms(adapter, _TURN[request.priority], request.tenant)
        return member.supervisor.run(_resolved(request, leg), submitted, complete, terms, elsewhere)

    async def exposition(self, model: str) -> bytes:
        """Return the metrics that a model's engine keeps by itself, in Prometheus text format.

        ``ServeError`` where there is no such model, it does not serve now, or keeps none.
        """
        supervisor = self._member(model).supervisor
        text = await _answer(supervisor, Link.exposition, wait=False)
        if not text:
            engine = supervisor.settings.engine
            raise ServeError(Code.NOT_FOUND, f"the engine {engine} keeps no metrics of its own")
        return text

    async def lex(self, model: str, question: Question) -> Lexed:
        """Return what a model says of its tokens; ``ServeError`` where it cannot."""
        supervisor = self._member(model).supervisor
        return await _answer(supervisor, lambda link: link.lex(question), wait=True)

    def ensure_able(self, model: str, payload: Payload) -> None:
        """Return if ``model`` can give what is asked beside the task; ``ServeError`` if not."""
        info = self.info(model)
        if info is not None:
            entry_of(payload).able(payload, model, info)

    def notes(self, model: str, payload: Payload) -> tuple[str, ...]:
        """Return what the caller should know about how ``model`` serves this payload."""
        info = self.info(model)
        return entry_of(payload).notes(payload, info) if info is not None else ()

    def _state(self, name: str) -> State:
        supervisor = self._member(name).supervisor
        return supervisor.state if supervisor.adapters.holds(name) else State.STOPPED

    def _member(self, name: str) -> Member:
        member = self._rack.find(name)
        if member is None:
            names = ", ".join(one.name for one in self._rack.catalog) or "none"
            raise ServeError(
                Code.NOT_FOUND,
                f"there is no model {name!r} (any more); there is: {names}",
                param="model",
                reason="MODEL_NOT_FOUND",
            )
        return member

    def _observer(self, member: Member) -> Observer:
        """Return what a member's supervisor tells us by."""
        name = member.name

        def on_restart(_model: str, reason: str) -> None:
            self._metrics.engine_restarts.labels(name, reason).inc()

        return Observer(
            step=lambda _model, step: self._on_step(member, step),
            state=lambda _model, state: self._on_state(member, state),
            restart=on_restart,
            progress=self._progress,
            wanted=lambda _model: self._rack.wake(member),
        )

    def _on_step(self, member: Member, step: Step) -> None:
        series = self._metrics.of_engine(member.name)
        series.running.set(step.running)
        if step.computed:
            series.steps.observe((step.done_ns - step.begin_ns) / 1e9)
            series.batch.observe(len(step.computed))
        series.hold(step.kv_used, step.running)
        more = step.running > 0 or member.supervisor.waiting > 0
        self.billing.on_step(member.slot, step, more=more)

    def _on_state(self, member: Member, state: State) -> None:
        self.billing.on_state(member.slot, state, member.supervisor.pid)
        gone = state not in {State.READY, State.DRAINING}
        if gone and self._rack.members.get(member.name) in {member, None}:
            series = self._metrics.of_engine(member.name)
            series.running.set(0)
            series.hold(None, 0)


async def _answer(
    supervisor: Supervisor, question: Callable[[Link], Awaitable[T]], *, wait: bool
) -> T:
    """Return what a host says beside its requests' events; ``ServeError`` where it does not."""
    link = await supervisor.link(wait=wait)
    try:
        async with asyncio.timeout(supervisor.settings.stall_timeout_s):
            return await question(link)
    except TimeoutError:
        model = supervisor.settings.model
        raise ServeError(Code.UNAVAILABLE, f"model {model!r} does not answer now") from None


def _resolved(request: Request, leg: Leg) -> Request:
    """Return the request as an engine gets it, with the pair that the leg serves."""
    payload, pair = entry_of(request.payload).work(request.payload), leg.pair
    if isinstance(payload, Translate) and pair is not None:
        payload = msgspec.structs.replace(payload, source=pair.source, target=pair.target)
    return msgspec.structs.replace(request, payload=payload)
