"""What measures energy: Linux's powercap counters (RAPL) and NVIDIA's library (NVML).

A reader's ``read`` returns microjoules since it was made. Readers do I/O (RAPL some 20 µs a zone,
NVML up to milliseconds), so they belong in a thread of their own that feeds ``energy.Sampled``.
Where energy cannot be measured, making a reader raises ``EnergyUnavailable`` with the remedy.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")


class EnergyUnavailable(Exception):  # noqa: N818 - a state of the machine, not a mistake
    """The machine does not tell its energy; the message says what would help."""


class RaplReader:
    """CPU packages and, where it is counted apart from them, their memory.

    A counter wraps at its ``max_energy_range_uj`` (at 200 W often within half an hour), so it must
    be read more often than that.
    """

    def __init__(self, root: Path = POWERCAP) -> None:
        self._zones = [zone for zone in sorted(root.glob("intel-rapl:*")) if _counts(zone)]
        if not self._zones:
            raise EnergyUnavailable(f"no RAPL zone under {root}; set watts instead")
        try:
            self._ranges = [_number(zone / "max_energy_range_uj") for zone in self._zones]
            self._last = [_number(zone / "energy_uj") for zone in self._zones]
        except PermissionError as error:
            raise EnergyUnavailable(
                f"{error.filename} is for root only; grant the server read access to it"
            ) from None
        except (OSError, ValueError) as error:
            raise EnergyUnavailable(f"RAPL cannot be read: {error}") from None
        self._total = 0

    def read(self) -> int:
        """Return microjoules since the reader was made; ``OSError`` where a zone is gone."""
        now = [_number(zone / "energy_uj") for zone in self._zones]
        for value, last, span in zip(now, self._last, self._ranges, strict=True):
            self._total += value - last if value >= last else value + span - last
        self._last = now
        return self._total


class NvmlReader:
    """One NVIDIA GPU by index, from Volta on."""

    def __init__(self, index: int = 0) -> None:
        try:
            self._nvml: Any = importlib.import_module("pynvml")
        except ImportError:
            raise EnergyUnavailable(
                "NVML needs the package nvidia-ml-py: pip install nvidia-ml-py"
            ) from None
        try:
            self._nvml.nvmlInit()
            self._handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
            self._last = self._millijoules()
        except self._nvml.NVMLError as error:
            raise EnergyUnavailable(f"GPU {index} does not tell its energy: {error}") from None
        self._total = 0

    def read(self) -> int:
        """Return microjoules since the reader was made; ``OSError`` where the GPU is gone."""
        try:
            now = self._millijoules()
        except self._nvml.NVMLError as error:
            raise OSError(f"NVML: {error}") from None
        # It counts since the driver was loaded; a smaller value means that it was loaded again.
        self._total += 1000 * (now - self._last if now >= self._last else now)
        self._last = now
        return self._total

    def count(self) -> int:
        """Return how many GPUs the machine has."""
        return int(self._nvml.nvmlDeviceGetCount())

    def _millijoules(self) -> int:
        return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))


def gpus() -> list[NvmlReader]:
    """Return a reader for each GPU of the machine; ``EnergyUnavailable`` where there is none."""
    first = NvmlReader()
    return [first, *(NvmlReader(index) for index in range(1, first.count()))]


def _counts(zone: Path) -> bool:
    """Whether a zone is a package or its memory; cores and uncore are inside the package."""
    try:
        name = (zone / "name").read_text().strip()
    except OSError:
        return False
    return name.startswith("package") or name == "dram"


def _number(path: Path) -> int:
    return int(path.read_text())
