"""vLLM's own processes die or hang under a host that lives, or with everything above them."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from hexkey.engines import sharedmemory
from hexkey.engines.frames import PULSE_S
from hexkey.engines.supervisor import State, Supervisor
from hexkey.errors import Code, ServeError
from hexkey.types import Began, Event
from tests.contract.conftest import Rig
from tests.contract.test_engines import settle
from tests.vllm.conftest import OPTIONS, settings
from tests.waiting import soon

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHM = Path("/dev/shm")  # noqa: S108 - what it is about


def inner(rig: Rig, name: str) -> psutil.Process:
    """The process of vLLM whose title ends so."""
    assert rig.supervisor.pid is not None
    (found,) = (
        one
        for one in psutil.Process(rig.supervisor.pid).children(recursive=True)
        if one.cmdline() and one.cmdline()[0].endswith(name)
    )
    return found


def held(pid: int | None) -> list[Path]:
    """Shared memory of a host and its descendants; it is theirs alone, whoever else runs here."""
    assert pid is not None
    found = [SHM / name for name in sharedmemory.of_group(pid) if name.startswith("psm_")]
    assert found
    return found


async def four_streams(rig: Rig) -> list[asyncio.Task[Code]]:
    """Streams of which something was seen, so that none may begin anew elsewhere."""
    await soon(lambda: rig.supervisor.state is State.READY, 200)
    streams = [rig.supervisor.run(rig.request(1500)) for _ in range(4)]
    await asyncio.gather(*(anext(events) for events in streams))

    async def drain(events: AsyncGenerator[Event | Began, None]) -> Code:
        async with aclosing(events):
            with pytest.raises(ServeError) as caught:
                async for _ in events:
                    pass
        return caught.value.code

    return [asyncio.create_task(drain(events)) for events in streams]


@pytest.mark.parametrize("name", ["EngineCore", "Worker"])
async def test_a_killed_inner_process_ends_every_stream_within_a_second(
    rig: Rig, name: str
) -> None:
    streams = await four_streams(rig)
    segments = held(rig.supervisor.pid)
    inner(rig, name).kill()
    begun = time.monotonic()
    assert await asyncio.gather(*streams) == [Code.UNAVAILABLE] * 4
    assert time.monotonic() - begun < 1
    assert await settle(rig, rig.request(3)) is None
    assert not any(path.exists() for path in segments)


async def test_a_worker_that_hangs_is_found_within_ten_seconds(rig: Rig) -> None:
    streams = await four_streams(rig)
    pid = rig.supervisor.pid
    process = inner(rig, "Worker")
    process.suspend()
    begun = time.monotonic()
    assert await asyncio.gather(*streams) == [Code.UNAVAILABLE] * 4
    assert time.monotonic() - begun < 10
    await soon(lambda: not alive(process), 20)
    assert await settle(rig, rig.request(3)) is None
    assert rig.supervisor.pid != pid


async def test_a_core_that_hangs_is_found_whatever_callers_do(rig: Rig) -> None:
    """Neither cancels nor scrapes make a core look alive, and neither does having no request."""
    await soon(lambda: rig.supervisor.state is State.READY, 200)
    pid = rig.supervisor.pid
    inner(rig, "EngineCore").suspend()
    begun = time.monotonic()
    # What the core said before it stopped may be on its way; a scrape may still be answered by it.
    await asyncio.sleep(2 * PULSE_S)
    link = await rig.supervisor.link(wait=False)
    scrape = asyncio.create_task(link.exposition())
    while rig.supervisor.pid == pid:
        assert time.monotonic() - begun < 10
        impatient = asyncio.create_task(settle(rig, rig.request(5)))
        await asyncio.sleep(0.3)
        impatient.cancel()
    with pytest.raises(ServeError):
        await scrape
    assert await settle(rig, rig.request(3)) is None


PARENT = """
import asyncio, json, sys
from hexkey.engines.supervisor import HostSettings, Supervisor
async def main():
    options = json.loads(sys.argv[2])
    supervisor = Supervisor(HostSettings("m", "vllm", sys.argv[1], options, 600.0))
    await supervisor.start()
    print(supervisor.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_a_killed_parent_leaves_no_process_and_no_shared_memory(smollm_folder: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(smollm_folder), json.dumps(OPTIONS)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220 - the next line waits
    assert parent.stdout is not None
    # What the host prints is logged there, too.
    pid = next(line for line in iter(parent.stdout.readline, "") if line.strip().isdigit())
    host = psutil.Process(int(pid))
    family = [host, *host.children(recursive=True)]
    assert len(family) >= 3
    segments = held(host.pid)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    await soon(lambda: not any(alive(one) for one in family), 20)
    assert not any(path.exists() for path in segments)


async def test_a_load_that_fails_inside_vllm_leaves_no_shared_memory(smollm_folder: Path) -> None:
    """EngineCore finds that its cache is too small, when a Worker has its queues already."""
    asked = settings(smollm_folder)
    asked = dataclasses.replace(asked, options={**asked.options, "kv_cache_gib": 0.01})
    supervisor = Supervisor(asked)
    starting = asyncio.create_task(supervisor.start())
    segments: set[str] = set()
    while not starting.done():
        if supervisor.pid is not None:
            segments |= await asyncio.to_thread(sharedmemory.of_group, supervisor.pid)
        await asyncio.sleep(0.05)
    with pytest.raises(ServeError, match="vLLM cannot start vllm"):
        await starting
    assert len([name for name in segments if name.startswith("psm_")]) > 1
    assert not [name for name in segments if (SHM / name).exists()]


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
