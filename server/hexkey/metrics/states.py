"""Which of its states each model is in, as a metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from enum import StrEnum

    from prometheus_client.core import Metric


class StateCollector(Collector):
    """Reads ``states``, by model: 1 for the one it is in, 0 for the others of its kind."""

    def __init__(
        self, name: str, documentation: str, states: Callable[[], Mapping[str, StrEnum]]
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._states = states

    def collect(self) -> Iterator[Metric]:
        """Called by the registry at each scrape."""
        found = GaugeMetricFamily(self._name, self._documentation, labels=("model", "state"))
        for model, state in self._states().items():
            for one in type(state):
                found.add_metric([model, one.value], one is state)
        yield found
