"""Energy: counters that wrap, readers that are not there, samples that come late or never."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.cost.energy import MAX_AHEAD, Sampled, static_power
from hexkey.cost.price import HOUR_NS
from hexkey.cost.readers import EnergyUnavailable, NvmlReader, RaplReader, gpus

SECOND = 10**9


def zone(root: Path, folder: str, name: str, value: int, span: int = 1000) -> Path:
    path = root / folder
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{value}\n")
    (path / "max_energy_range_uj").write_text(f"{span}\n")
    return path


def test_watts_become_microjoules() -> None:
    meter = static_power(Decimal("12.5"), 0)
    assert meter.total(SECOND) == 12_500_000
    assert meter.total(HOUR_NS) == 45_000_000_000


def test_rapl_adds_packages_and_memory_but_not_cores(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 990)
    cores = zone(tmp_path, "intel-rapl:0:0", "core", 5)
    memory = zone(tmp_path, "intel-rapl:0:1", "dram", 100)
    (tmp_path / "intel-rapl:9").mkdir()
    reader = RaplReader(tmp_path)
    assert reader.read() == 0
    (cores / "energy_uj").write_text("500")
    (memory / "energy_uj").write_text("107")
    assert reader.read() == 7
    (package / "energy_uj").write_text("15")  # wrapped at 1000
    assert reader.read() == 7 + 25
    (package / "energy_uj").unlink()
    with pytest.raises(OSError, match="energy_uj"):
        reader.read()


def test_without_rapl_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EnergyUnavailable, match="set watts"):
        RaplReader(tmp_path)
    path = zone(tmp_path, "intel-rapl:0", "package-0", 1)
    (path / "energy_uj").write_text("?")
    with pytest.raises(EnergyUnavailable, match="cannot be read"):
        RaplReader(tmp_path)
    read_text = Path.read_text

    def refuse(path: Path) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return read_text(path)

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(EnergyUnavailable, match="root only"):
        RaplReader(tmp_path)


class FakeNvml(ModuleType):
    class NVMLError(Exception):
        pass

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.millijoules: list[int] = []

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's name
        pass

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802 - NVML's name
        return index

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - NVML's name
        return 3

    def nvmlDeviceGetTotalEnergyConsumption(self, _handle: int) -> int:  # noqa: N802 - NVML's name
        if not self.millijoules:
            raise self.NVMLError("Not Supported")
        return self.millijoules.pop(0)


def test_nvml_counts_from_its_start_and_over_a_driver_reload(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nvml = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    with pytest.raises(EnergyUnavailable, match="Not Supported"):
        NvmlReader()
    nvml.millijoules = [5000, 5003, 2]
    reader = NvmlReader()
    assert reader.read() == 3000
    assert reader.read() == 5000
    with pytest.raises(OSError, match="Not Supported"):
        reader.read()


def test_every_gpu_of_the_machine_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    nvml.millijoules = [0, 100, 200, 1, 102, 203]
    assert [reader.read() for reader in gpus()] == [1000, 2000, 3000]


def test_without_nvml_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(EnergyUnavailable, match="pip install nvidia-ml-py"):
        NvmlReader()


def test_between_samples_the_last_power_goes_on_but_not_for_ever() -> None:
    meter = Sampled(0)
    assert meter.total(SECOND) == 0
    meter.feed(100, SECOND)
    assert meter.total(SECOND) == 100
    assert meter.total(SECOND + SECOND // 2) == 150
    assert meter.total(100 * SECOND) == 100 + MAX_AHEAD * 100
    meter.feed(120, 2 * SECOND)  # it ran ahead, so it waits
    assert meter.total(2 * SECOND) == 300
    meter.feed(400, 3 * SECOND)
    assert meter.total(3 * SECOND) == 400


@given(
    st.lists(
        st.tuples(st.integers(-1, SECOND), st.integers(0, 10**6), st.integers(0, SECOND)),
        max_size=30,
    )
)
def test_a_sampled_meter_never_falls(samples: list[tuple[int, int, int]]) -> None:
    meter, now, total, told = Sampled(0), 0, 0, 0
    for gap, gained, later in samples:
        now, total = max(0, now + gap), total + gained
        meter.feed(total, now)
        now += later
        assert meter.total(now) >= told
        told = meter.total(now)
