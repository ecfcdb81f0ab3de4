"""What is known of every model at this moment: is it up, is it trusted, what did requests take.

The router is pure; this is where it reads the world from. A few numbers per model and task.
"""

from __future__ import annotations

from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from hexkey.admission.ticket import measure
from hexkey.circuit import Circuit, CircuitState
from hexkey.measures import Measure
from hexkey.routing import Live

if TYPE_CHECKING:
    from collections.abc import Callable

    from hexkey.admission import Gate
    from hexkey.admission.ticket import Size
    from hexkey.measures import Took
    from hexkey.metrics import Metrics
    from hexkey.pool import Pool
    from hexkey.types import Request, Task

log = structlog.get_logger("hexkey.engine")


class Board:
    """Told of every leg that begins and ends; tells the router. Times are in seconds."""

    def __init__(
        self, pool: Pool, gate: Gate, metrics: Metrics, clock: Callable[[], float] = monotonic
    ) -> None:
        self._pool = pool
        self._gate = gate
        self._clock = clock
        self._running: Counter[str] = Counter()
        self._circuits: dict[str, Circuit] = {}
        self._measures: dict[tuple[str, Task], Measure] = {}
        metrics.watch_circuits(self.circuits)

    def reader(self, request: Request, *, only_told: bool = False) -> Callable[[str], Live]:
        """Return what tells the router of a model that may serve this request; it looks once.

        Of one that is ``only_told`` how it would be routed, no circuit learns that it came.
        """
        size = measure(request.payload)
        seen: dict[str, Live] = {}

        def look(model: str) -> Live:
            live = seen.get(model)
            if live is None:
                live = seen[model] = self.live(model, request, size)
                if live.ejected and not only_told:
                    self._circuits[model].pass_by()
            return live

        return look

    def live(self, model: str, request: Request, size: Size | None = None) -> Live:
        """Return a model's state, and its measures for a request's task."""
        up, queued = self._pool.vitals(model)
        queued += self._gate.waiting(model)
        wait_s = self._gate.wait_s(request, model, size)
        ejected = self._ejected(model)
        running = self._running[model]
        measure = self._measures.get((model, request.task))
        if measure is None:
            return Live(up=up, ejected=ejected, in_flight=running, waiting=queued, wait_s=wait_s)
        fixed_s, s_per_unit = measure.line
        return Live(
            up=up,
            ejected=ejected,
            in_flight=running,
            waiting=queued,
            wait_s=wait_s,
            measured=measure.count,
            units=measure.units,
            pico_per_unit=measure.pico_per_unit,
            device_s_per_unit=measure.device_s_per_unit,
            fixed_s=fixed_s,
            s_per_unit=s_per_unit,
            spread=measure.spread,
        )

    def circuits(self) -> dict[str, CircuitState]:
        """Return whether each model's engine is trusted; all that never failed are left out."""
        now, there = self._clock(), {one.name for one in self._pool.catalog}
        return {
            model: one.state(now) for model, one in list(self._circuits.items()) if model in there
        }

    def failing(self, model: str) -> bool:
        """Return whether a model's engine is not trusted, so that others go first."""
        circuit = self._circuits.get(model)
        return circuit is not None and circuit.state(self._clock()) is not CircuitState.CLOSED

    def begin(self, model: str) -> int:
        """A leg begins on a model; to be given to ``end``."""
        self._running[model] += 1
        circuit = self._circuits.get(model)
        return circuit.begin() if circuit is not None else 0

    def end(self, model: str, begun: int, *, failed: bool | None) -> None:
        """The leg has ended; None says that it tells nothing of the engine."""
        self._running[model] -= 1
        circuit = self._circuits.get(model)
        if circuit is None:
            if not failed:
                return
            # Most engines never fail, and then there is nothing to keep.
            circuit = self._circuits[model] = Circuit(self._pool.pid(model))
        now = self._clock()
        before = circuit.state(now)
        circuit.end(now, begun, failed=failed)
        if (state := circuit.state(now)) is not before:
            log.warning("circuit", model=model, state=state)

    def _ejected(self, model: str) -> bool:
        circuit = self._circuits.get(model)
        if circuit is None:
            return False
        now = self._clock()
        circuit.serve_from(self._pool.pid(model), now)
        return circuit.ejects(now)

    def took(self, model: str, task: Task, took: Took) -> None:
        """A leg has succeeded, and this is what it took."""
        measure = self._measures.get((model, task))
        if measure is None:
            measure = self._measures[model, task] = Measure()
        measure.add(took)
