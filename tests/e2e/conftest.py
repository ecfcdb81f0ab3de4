"""The server as people run it: a process, the quickstart configuration, real models."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.chromium import chromium
from tests.e2e.served import ROOT, Served, serve

__all__ = ["FULL", "QUICKSTART", "ROOT", "Served", "chromium", "quickstart", "serve"]

QUICKSTART = ROOT / "configs" / "quickstart.yaml"
FULL = ROOT / "configs" / "full.yaml"


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
