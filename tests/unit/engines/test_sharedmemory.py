"""Shared memory of killed processes: found by who maps it, or by the list they left."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hexkey.engines import sharedmemory

MAKER = """
import sys
from multiprocessing.shared_memory import SharedMemory
from multiprocessing import resource_tracker
memory = SharedMemory(create=True, size=4096)
resource_tracker.unregister(memory._name, "shared_memory")
from hexkey.engines import sharedmemory
import os
if sys.argv[1] == "remember":
    sharedmemory.remember(os.getpid())
print(memory.name, flush=True)
sys.stdin.read()
"""
SHM = Path("/dev/shm")  # noqa: S108 - what it is about
Maker = tuple[subprocess.Popen[str], Path]


@pytest.fixture
def maker(request: pytest.FixtureRequest) -> Iterator[Maker]:
    """A process group with one segment."""
    word = getattr(request, "param", "")
    with subprocess.Popen(
        [sys.executable, "-c", MAKER, word],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,  # as a host is started
    ) as process:
        assert process.stdout is not None
        segment = SHM / process.stdout.readline().strip()
        assert segment.exists()
        yield process, segment
        process.kill()
        segment.unlink(missing_ok=True)


def test_what_a_group_maps_is_known_while_it_lives(maker: Maker) -> None:
    process, segment = maker
    assert sharedmemory.of_group(process.pid) == {segment.name}
    assert segment.name not in sharedmemory.of_group(os.getpgid(0))
    sharedmemory.unlink({segment.name, "psm_gone"})
    assert not segment.exists()


@pytest.mark.parametrize("maker", ["remember"], indirect=True)
def test_a_sweep_leaves_what_another_container_wrote_down(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, segment = maker
    process.kill()
    process.wait()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sharedmemory, "_namespace", lambda: "1")
        sharedmemory.sweep()
    assert segment.exists(), "it cannot tell whether that group lives"
    sharedmemory.sweep()
    assert not segment.exists()


@pytest.mark.parametrize("maker", ["remember"], indirect=True)
def test_a_sweep_takes_what_the_dead_left_and_nothing_else(maker: Maker) -> None:
    process, segment = maker
    sharedmemory.sweep()
    assert segment.exists()
    process.kill()
    process.wait()
    assert segment.exists()
    sharedmemory.sweep()
    assert not segment.exists()


def noted(process: subprocess.Popen[str]) -> None:
    """Return once a process's segments are written down."""
    begun = time.monotonic()
    while not list(sharedmemory.folder().glob(f"{process.pid}.*")):
        assert time.monotonic() - begun < 10
        time.sleep(0.01)


def test_a_load_that_fails_leaves_nothing_of_its_group(maker: Maker) -> None:
    process, segment = maker
    with contextlib.suppress(ZeroDivisionError), sharedmemory.followed(process.pid):
        noted(process)
        process.kill()
        process.wait()
        assert segment.exists()
        raise ZeroDivisionError
    assert not segment.exists()


def test_a_load_that_is_killed_with_everything_left_a_note(maker: Maker) -> None:
    process, segment = maker
    with sharedmemory.followed(process.pid):
        noted(process)
    assert segment.exists()
    process.kill()
    process.wait()
    sharedmemory.sweep()
    assert not segment.exists()


def test_the_end_of_an_unknown_group_is_no_error() -> None:
    assert sharedmemory.of_group(2**22 + 1) == set()
