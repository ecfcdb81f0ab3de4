"""How the usage ledger on disk does, as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric


class UsageWriter(Protocol):
    """The usage ledger as metrics read it; see ``hexkey.usage.writer.Writer``."""

    written: int
    lost: int
    failing: bool

    @property
    def waiting(self) -> int:
        """Rows that are not on disk yet."""


class UsageCollector(Collector):
    """Reads what became of the rows."""

    def __init__(self, writer: UsageWriter) -> None:
        self._writer = writer

    def collect(self) -> Iterator[Metric]:
        """Called by the registry at each scrape."""
        writer = self._writer
        yield CounterMetricFamily(
            "hexkey_usage_rows_written", "Rows of the usage ledger on disk.", writer.written
        )
        yield CounterMetricFamily(
            "hexkey_usage_rows_lost", "Rows of the usage ledger that no disk took.", writer.lost
        )
        yield GaugeMetricFamily(
            "hexkey_usage_rows_waiting", "Rows of the usage ledger not on disk yet.", writer.waiting
        )
        yield GaugeMetricFamily(
            "hexkey_usage_failing", "1 while the usage ledger cannot be written.", writer.failing
        )
