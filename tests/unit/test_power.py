"""What the machine draws: sources together, read by a thread, and gone in the middle."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hexkey import power
from hexkey.cost.readers import EnergyUnavailable, RaplReader
from hexkey.power import Power
from tests.unit.cost.test_energy import zone

SECOND = 10**9


class Counter:
    """A counter that gains a joule at each look, until it is gone."""

    def __init__(self, looks: int = 1 << 30) -> None:
        self.looks = 0
        self._last = looks

    def read(self) -> int:
        if self.looks == self._last:
            raise OSError("unplugged")
        self.looks += 1
        return 1_000_000 * self.looks


def until(counter: Counter, looks: int) -> None:
    end = time.monotonic() + 20
    while counter.looks < looks:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_watts_need_no_thread() -> None:
    drawn = Power("static", "50", 0)
    drawn.start()
    assert drawn.total(2 * SECOND) == 100_000_000
    drawn.close()


def test_sources_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    counters = [Counter(), Counter(looks=3)]
    monkeypatch.setitem(power.READERS, "nvml", lambda: counters)
    start = time.monotonic_ns()
    drawn = Power("static+nvml", "50", start, sample_s=0.005)
    with capture_logs() as logs:
        drawn.start()
        until(counters[0], 10)
        drawn.close()
    assert [line["event"] for line in logs] == ["energy is not measured any more"]
    now = time.monotonic_ns()
    measured = drawn.total(now) - 50 * (now - start) // 1000
    least = 1_000_000 * (counters[0].looks + 3)
    # Between samples a meter goes on for two intervals at the most.
    assert least <= measured <= least + 2 * 2 * 1_000_000 + 1
    assert drawn.total(now + SECOND) - drawn.total(now) >= 50_000_000


def test_the_processors_counters_are_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 100, span=10**9)
    monkeypatch.setitem(power.READERS, "rapl", lambda: [RaplReader(tmp_path)])
    drawn = Power("rapl", "0", time.monotonic_ns(), sample_s=0.005)
    drawn.start()
    (package / "energy_uj").write_text("5000100")
    end = time.monotonic() + 20
    while drawn.total(time.monotonic_ns()) < 5_000_000:
        assert time.monotonic() < end
        time.sleep(0.005)
    drawn.close()


def test_what_cannot_be_read_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> list[RaplReader]:
        raise EnergyUnavailable("no RAPL zone; set watts instead")

    monkeypatch.setitem(power.READERS, "rapl", none)
    with pytest.raises(OSError, match=r"cost.energy: rapl cannot be read: .* set watts instead"):
        Power("rapl", "0", 0)
