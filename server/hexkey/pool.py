"""The rack of models: starts and stops their hosts, runs admitted work on them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from hexkey.billing import Billing
from hexkey.config import CostConfig
from hexkey.engines.supervisor import Observer, State, Supervisor
from hexkey.errors import invalid
from hexkey.types import Autocomplete, Translate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from hexkey.admission import Permit
    from hexkey.billing import Charge
    from hexkey.engines.frames import Step
    from hexkey.engines.supervisor import HostSettings
    from hexkey.metrics import Metrics
    from hexkey.routing import Candidate, Plan
    from hexkey.types import Began, Event, ModelInfo, Payload, Request

NO_FIM = "the model has no fill-in-the-middle: the suffix only ends the completion, it is not read"


class Pool:
    """All models of this server. ``catalog`` is in the configuration's order."""

    def __init__(
        self,
        models: Sequence[tuple[Candidate, HostSettings]],
        metrics: Metrics,
        observer: Observer,
        billing: Billing | None = None,
    ) -> None:
        self.catalog = tuple(candidate for candidate, _ in models)
        self._metrics = metrics
        self.billing = billing or Billing(CostConfig(), [one.name for one in self.catalog])
        watch = Observer(
            step=self._on_step,
            state=self._on_state,
            restart=lambda model, reason: metrics.engine_restarts.labels(model, reason).inc(),
            progress=observer.progress,
        )
        self._supervisors = {
            candidate.name: Supervisor(settings, watch) for candidate, settings in models
        }

    async def start(self) -> None:
        """Start all models at once; raises the first ``ServeError`` after stopping the rest."""
        try:
            async with asyncio.TaskGroup() as group:
                for supervisor in self._supervisors.values():
                    group.create_task(supervisor.start())
        except ExceptionGroup as errors:
            await self.stop()
            raise errors.exceptions[0] from None

    async def stop(self) -> None:
        """Stop every model."""
        await asyncio.gather(*(one.stop() for one in self._supervisors.values()))

    @property
    def ready(self) -> bool:
        """Whether every model serves."""
        return all(one.state is State.READY for one in self._supervisors.values())

    def states(self) -> dict[str, State]:
        """Return each model's state."""
        return {name: one.state for name, one in self._supervisors.items()}

    def info(self, model: str) -> ModelInfo | None:
        """Return what a model said of itself when it was last loaded."""
        return self._supervisors[model].info

    def pids(self) -> dict[str, int | None]:
        """Return each model's host process."""
        return {name: one.pid for name, one in self._supervisors.items()}

    def run(
        self, request: Request, plan: Plan, permit: Permit, charge: Charge
    ) -> AsyncGenerator[Event | Began, None]:
        """Return the events of an admitted request; the permit is the proof that it may run."""
        if permit.model != plan.model:
            raise ValueError(f"a permit for {permit.model} cannot run {plan.model}")
        return self._supervisors[plan.model].run(_resolved(request, plan), charge.join)

    def ensure_able(self, model: str, payload: Payload) -> None:
        """Return if ``model`` can give what is asked beside the task; ``ServeError`` if not."""
        info = self.info(model)
        asked = not isinstance(payload, Translate) and payload.sampling.logprobs
        if asked and info is not None and not info.logprobs:
            raise invalid(f"model {model!r} does not tell log probabilities", "logprobs")

    def notes(self, model: str, payload: Payload) -> tuple[str, ...]:
        """Return what the caller should know about how ``model`` serves this payload."""
        info = self.info(model)
        if isinstance(payload, Autocomplete) and payload.suffix and info and not info.fim:
            return (NO_FIM,)
        return ()

    def _on_step(self, model: str, step: Step) -> None:
        series = self._metrics.of_engine(model)
        series.running.set(step.running)
        if step.computed:
            series.steps.observe((step.done_ns - step.begin_ns) / 1e9)
            series.batch.observe(len(step.computed))
        more = step.running > 0 or self._supervisors[model].waiting > 0
        self.billing.on_step(model, step, more=more)

    def _on_state(self, model: str, state: State) -> None:
        self.billing.on_state(model, state, self._supervisors[model].pid)
        for one in State:
            self._metrics.model_state.labels(model, one.value).set(one is state)


def _resolved(request: Request, plan: Plan) -> Request:
    """Return the request with the pair that the plan serves in place of what was written."""
    payload, pair = request.payload, plan.pair
    if not isinstance(payload, Translate) or pair is None:
        return request
    payload = msgspec.structs.replace(payload, source=pair.source, target=pair.target)
    return msgspec.structs.replace(request, payload=payload)
