"""Looks at the server when asked to, and remembers enough of earlier looks to tell rates."""

from __future__ import annotations

import time
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING

from hexkey.metrics import series
from hexkey.vitals import snapshot
from hexkey.vitals.reading import Reading, read
from hexkey.vitals.snapshot import Point, Snapshot

if TYPE_CHECKING:
    from hexkey.metrics import Metrics
    from hexkey.pool import Pool

WINDOW_S = 60
"""Percentiles, shares and prices are of this last time."""
SMOOTH_S = 5
"""A chart's point is the mean of this last time."""
MAX_POINTS = 600


class Monitor:
    """What is shown is of a window that ends now and began at an earlier look.

    Where nobody looked for long, the window is as long; before the first look it is all the time
    since the start. So nothing that happened is left out, and no task runs for nobody.
    """

    def __init__(self, metrics: Metrics, pool: Pool) -> None:
        self._metrics = metrics
        self._pool = pool
        self._lock = Lock()
        self._started_ns = time.monotonic_ns()
        self._readings = deque([Reading(self._started_ns)])
        self.points: deque[Point] = deque(maxlen=MAX_POINTS)

    def look(self) -> Snapshot:
        """Read everything and return what is to be shown; takes milliseconds."""
        with self._lock:
            return self._look()

    def _look(self) -> Snapshot:
        new = read(self._metrics, self._pool)
        old, recent = self._before(new, WINDOW_S), self._before(new, SMOOTH_S)
        self._keep(new)
        at_ms = int(time.time() * 1000)
        tasks = snapshot.tasks(old, new)
        point = snapshot.point(at_ms, recent, new, tasks)
        self.points.append(point)
        return Snapshot(
            at_ms=at_ms,
            uptime_s=(new.at_ns - self._started_ns) / 1e9,
            window_s=(new.at_ns - old.at_ns) / 1e9,
            rate=sum(point.rate.values()),
            total=int(sum(new.outcomes.values())),
            failed_share=snapshot.failed_share(old, new),
            tasks=tasks,
            cost=snapshot.cost(old, new, self._pool),
            models=snapshot.models(old, new, self._pool, self._load(), self._metrics.circuits()),
            point=point,
        )

    def _before(self, new: Reading, seconds: int) -> Reading:
        """Return the latest reading that is so old, or the oldest there is."""
        latest = new.at_ns - seconds * 10**9
        older = (one for one in reversed(self._readings) if one.at_ns <= latest)
        return next(older, self._readings[0])

    def _keep(self, new: Reading) -> None:
        self._readings.append(new)
        latest = new.at_ns - WINDOW_S * 10**9
        while len(self._readings) > 1 and self._readings[1].at_ns <= latest:
            self._readings.popleft()

    def _load(self) -> dict[str, tuple[int, int]]:
        running = dict(series.values(self._metrics.engine_running))
        return {
            labels[0]: (int(count), int(running.get(labels, 0)))
            for labels, count in series.values(self._metrics.in_flight)
        }
