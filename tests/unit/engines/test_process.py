"""What a host's processes use: memory with all of them, CPU time of those that compute."""

from __future__ import annotations

import os
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from hexkey.engines.console import Console
from hexkey.engines.frames import Ready
from hexkey.engines.link import Link
from hexkey.engines.process import HostProcess, cpu_seconds, resident_bytes
from hexkey.types import ModelInfo

MIB = 1 << 20
HOST = """
import subprocess, sys
held = bytearray(60 << 20)
held[::4096] = b"x" * len(held[::4096])
if sys.argv[1] == "leader":
    command = [sys.executable, "-c", sys.argv[2], "child"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    child.stdout.readline()
    print(child.pid, flush=True)
    sys.stdin.read()
    child.kill()
else:
    print(flush=True)
    while True:
        pass
"""


@pytest.fixture
def family() -> Iterator[tuple[int, int]]:
    """A host that waits, and its child that computes; each holds 60 MiB."""
    with subprocess.Popen(
        [sys.executable, "-c", HOST, "leader", HOST],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,  # as a host is started
    ) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())


def test_memory_is_a_hosts_with_its_descendants(family: tuple[int, int]) -> None:
    assert 120 * MIB < resident_bytes(family[0]) < 160 * MIB
    assert resident_bytes(None) == 0
    assert resident_bytes(1 << 30) == 0


def test_cpu_time_is_that_of_the_processes_that_compute(family: tuple[int, int]) -> None:
    host, child = family
    info = ModelInfo(context_tokens=8)
    link = SimpleNamespace(ready=None)
    process = HostProcess(cast("Process", None), cast("Link", link), cast("Console", None))
    assert process.cpu_s == 0
    link.ready = Ready(1, info, (host, child))
    while process.cpu_s - cpu_seconds(host) < 0.1:
        pass
    link.ready = Ready(1, info)
    assert process.cpu_s == 0
    assert cpu_seconds(os.getpid()) > 0
