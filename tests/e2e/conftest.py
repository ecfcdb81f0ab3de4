"""The server as people run it: a process, the quickstart configuration, real models."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.metadata import files
from pathlib import Path

import pytest

from tests.e2e.chromium import chromium
from tests.e2e.served import ROOT, Served, serve

__all__ = ["FULL", "QUICKSTART", "ROOT", "Clock", "Served", "chromium", "quickstart", "serve"]

QUICKSTART = ROOT / "configs" / "quickstart.yaml"
FULL = ROOT / "configs" / "full.yaml"
DAY_S = 86_400
Clock = Callable[[int], None]


@pytest.fixture(scope="session")
def full() -> Iterator[Served]:
    """Every task, on real models."""
    with serve(FULL) as served:
        assert served.http, "".join(served.out + served.log)
        yield served


@pytest.fixture(scope="session")
def quickstart() -> Iterator[Served]:
    with serve(QUICKSTART) as served:
        assert served.http, "".join(served.out + served.log)
        yield served


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Sets the clock of all that is started from now on, in seconds from noon of this day.

    A day may end whenever these tests are run, and no other than those of the jumps is to.
    """
    (library,) = (one for one in files("libfaketime") or () if one.name == "libfaketime.so.1")
    offset = tmp_path / "offset"
    monkeypatch.setenv("LD_PRELOAD", str(library.locate()))
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(offset))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")

    noon = DAY_S // 2 - int(time.time()) % DAY_S

    def jump(to_s: int) -> None:
        offset.with_suffix(".new").write_text(f"{noon + to_s:+d}\n")
        offset.with_suffix(".new").rename(offset)

    return jump
