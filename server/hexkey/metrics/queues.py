"""What waits for each model, as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric


class Queues(Protocol):
    """What waits for each model; see ``hexkey.admission.Gate``."""

    def lanes(self) -> Iterator[tuple[str, str, int, int]]:
        """Yield (model, priority, requests, input tokens)."""


class QueueCollector(Collector):
    """Reads how deep the queues are."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    def collect(self) -> Iterator[Metric]:
        """Called by the registry at each scrape."""
        by = ("model", "priority")
        depth = GaugeMetricFamily("hexkey_queue_requests", "Requests that wait.", labels=by)
        tokens = GaugeMetricFamily(
            "hexkey_queue_input_tokens", "Tokens of input that wait, estimated.", labels=by
        )
        for model, priority, requests, input_tokens in self._queues.lanes():
            depth.add_metric([model, priority], requests)
            tokens.add_metric([model, priority], input_tokens)
        yield depth
        yield tokens
