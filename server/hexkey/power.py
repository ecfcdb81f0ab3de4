"""What the machine draws: watts as configured, counters that a thread reads, or both together."""

from __future__ import annotations

import threading
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import structlog

from hexkey.cost.energy import Sampled, static_power
from hexkey.cost.readers import EnergyUnavailable, NvmlReader, RaplReader, gpus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hexkey.cost.timeline import Meter

SAMPLE_S = 1.0

log = structlog.get_logger("hexkey.power")


class Reader(Protocol):
    """A counter of energy; see ``hexkey.cost.readers``."""

    def read(self) -> int:
        """Return microjoules since it was made; ``OSError`` where it is gone."""


READERS: dict[str, Callable[[], Sequence[Reader]]] = {
    "rapl": lambda: [RaplReader()],
    "nvml": gpus,
}
"""What ``cost.energy`` may name; ``nvml:1`` is the GPU of that index alone."""


class Power:
    """The meter of a device's sources of energy, in microjoules; ``watts`` are of ``static``.

    A source that cannot be read from the start raises ``OSError`` with the remedy; one that goes
    away later stands still from then on. A thread reads, from ``start`` to ``close``.
    """

    def __init__(self, energy: str, watts: str, start_ns: int, sample_s: float = SAMPLE_S) -> None:
        self._sample_s = sample_s
        self._meters: list[Meter] = []
        self._read: list[tuple[Reader, Sampled]] = []
        for source in energy.split("+"):
            if source == "static":
                self._meters.append(static_power(Decimal(watts), start_ns))
                continue
            for reader in _readers(source):
                meter = Sampled(start_ns)
                self._meters.append(meter)
                self._read.append((reader, meter))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="power", daemon=True)

    def total(self, at_ns: int) -> int:
        """Return microjoules since the start."""
        return sum(meter.total(at_ns) for meter in self._meters)

    def start(self) -> None:
        """Begin to read; nothing where there is nothing to read."""
        if self._read:
            self._thread.start()

    def close(self) -> None:
        """Read no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _sample(self) -> None:
        while self._read and not self._stopping.wait(self._sample_s):
            for one in tuple(self._read):
                reader, meter = one
                try:
                    meter.feed(reader.read(), time.monotonic_ns())
                except OSError as error:
                    self._read.remove(one)
                    log.error("energy is not measured any more", why=str(error))


def _readers(source: str) -> Sequence[Reader]:
    name, _, index = source.partition(":")
    try:
        return [NvmlReader(int(index))] if index else READERS[name]()
    except EnergyUnavailable as error:
        raise OSError(f"cost.energy: {source} cannot be read: {error}") from None
