"""Real host processes under a supervisor: what they survive, and what does not survive them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from hexkey.engines.frames import MAX_FRAME_BYTES, Step
from hexkey.engines.supervisor import HostSettings, Observer, State, Supervisor
from hexkey.errors import Code, ServeError
from hexkey.types import (
    Autocomplete,
    Began,
    Event,
    Payload,
    Request,
    Sampling,
    Transcribe,
    Usage,
)
from tests.waiting import soon

SPEECH = Path(__file__).parents[1] / "data" / "speech.flac"
LARGE_BYTES = 8 << 20
COUNTS = (512, 3072)
MOST_KEPT_BYTES = 4096
"""Of memory that an allocator may not have given back, a request."""


def text(tokens: int, prefix: str = "x") -> Autocomplete:
    return Autocomplete(prefix=prefix, sampling=Sampling(max_tokens=tokens))


@dataclass
class Watched:
    """A supervisor, the steps its hosts told of and why they were replaced."""

    supervisor: Supervisor
    steps: list[Step] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)

    def computing(self) -> set[int]:
        """The requests that the last step computed for."""
        return {request_id for request_id, _, _ in self.steps[-1].computed}

    async def answer(self, payload: Payload) -> list[Event]:
        request = Request(id="t", payload=payload, protocol="test")
        async with aclosing(self.supervisor.run(request)) as events:
            return [event async for event in events if not isinstance(event, Began)]


@contextlib.asynccontextmanager
async def supervised(
    engine: str = "fake",
    folder: Path | str = "",
    *,
    stall_timeout_s: float = 60.0,
    **options: object,
) -> AsyncIterator[Watched]:
    settings = HostSettings("m", engine, str(folder), options, stall_timeout_s=stall_timeout_s)
    made: list[Watched] = []
    observer = Observer(
        step=lambda _model, step: made[0].steps.append(step),
        restart=lambda _model, reason: made[0].restarts.append(reason),
    )
    watched = Watched(Supervisor(settings, observer))
    made.append(watched)
    try:
        await watched.supervisor.start()
        yield watched
    finally:
        await watched.supervisor.stop()


async def test_a_large_request_and_a_cancel_behind_it_cost_a_busy_engine_few_steps() -> None:
    async with supervised(step_ms=200) as one:
        running = asyncio.create_task(one.answer(text(8000)))
        await soon(lambda: one.supervisor.running == 1)
        begun = len(one.steps)
        large = asyncio.create_task(one.answer(Transcribe(audio=bytes(LARGE_BYTES))))
        await asyncio.sleep(0)
        running.cancel()
        await soon(lambda: 2 in one.computing())
        assert len(one.steps) - begun <= 6, "it came a buffer a step"
        assert 1 not in one.computing(), "the cancel waited behind it"
        assert isinstance((await large)[-1], Usage)


async def test_a_request_that_no_frame_can_hold_is_refused_and_disturbs_nobody() -> None:
    async with supervised(step_ms=5) as one:
        mate = asyncio.create_task(one.answer(text(100)))
        await soon(lambda: one.supervisor.running == 1)
        with pytest.raises(ServeError) as caught:
            await one.answer(Transcribe(audio=bytes(MAX_FRAME_BYTES)))
        assert caught.value.code is Code.TOO_LARGE
        assert isinstance((await mate)[-1], Usage)
        assert (one.restarts, one.supervisor.users) == ([], 0)


async def test_a_host_imports_nothing_from_where_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("uvloop", "random", "msgspec"):
        (tmp_path / f"{name}.py").write_text("open('shadowed', 'w')\nraise SystemExit(9)\n")
    monkeypatch.chdir(tmp_path)
    async with supervised() as one:
        assert isinstance((await one.answer(text(3)))[-1], Usage)
    assert not (tmp_path / "shadowed").exists()


async def test_what_a_library_raises_at_load_is_told(tmp_path: Path, opus_like: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(opus_like, folder)
    (folder / "sentencepiece.model").write_bytes(b"no such thing")
    with pytest.raises(ServeError, match=r"cannot load: .*sentencepiece\.model"):
        async with supervised("ctranslate2", folder):
            pass


async def test_a_step_that_computes_for_long_is_no_hang() -> None:
    async with supervised(step_ms=3500, busy=True, stall_timeout_s=1.0) as one:
        assert isinstance((await one.answer(text(1)))[-1], Usage)
        assert one.restarts == []


async def test_a_window_of_speech_that_takes_longer_than_a_hang_may_is_no_hang(
    whisper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long one may be at work is the watchdog's own test: here it takes what it takes.
    monkeypatch.setattr("hexkey.engines.watchdog.BUSY_FACTOR", 100)
    async with supervised("ctranslate2", whisper, stall_timeout_s=0.3) as one:
        assert isinstance((await one.answer(Transcribe(audio=SPEECH.read_bytes())))[-1], Usage)
        assert one.restarts == []


async def test_a_step_that_sleeps_and_a_host_that_is_stopped_at_work_are_hangs() -> None:
    async with supervised(step_ms=20, busy=True, stall_timeout_s=1.0) as one:
        with pytest.raises(ServeError, match="no progress for 1 s"):
            await one.answer(text(100, "[[hang]]"))
        await soon(lambda: one.supervisor.state is State.READY)
        running = asyncio.create_task(one.answer(text(8000)))
        await soon(lambda: one.supervisor.running == 1)
        pid = one.supervisor.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(ServeError, match="no progress for 1 s"):
            await running
        assert one.restarts == ["stall", "stall"]
        await soon(lambda: not psutil.pid_exists(pid), 5, "the end of the host")


async def test_an_engine_out_of_memory_ends_alone_and_says_so() -> None:
    async with supervised(step_ms=5) as hungry, supervised(step_ms=5) as other:
        mate = asyncio.create_task(other.answer(text(300)))
        ours = psutil.Process().memory_info().rss
        pid = hungry.supervisor.pid
        assert pid is not None
        most = psutil.Process(pid).memory_info().vms + (256 << 20)
        resource.prlimit(pid, resource.RLIMIT_AS, (most, most))
        with pytest.raises(ServeError) as caught:
            await hungry.answer(text(100, "[[oom]]"))
        assert (caught.value.code, "MemoryError" in caught.value.message) == (Code.INTERNAL, True)
        assert isinstance((await hungry.answer(text(3)))[-1], Usage)
        assert hungry.restarts == ["oom"]
        assert isinstance((await mate)[-1], Usage)
        assert other.restarts == []
        assert psutil.Process().memory_info().rss - ours < 64 << 20


async def test_nothing_is_kept_of_a_request() -> None:
    async with supervised() as one:
        pid = one.supervisor.pid
        assert pid is not None

        async def ask(number: int) -> None:
            asking = asyncio.create_task(one.answer(text(4, f"The number {number} is")))
            if number % 4 == 0:  # and one in four leaves
                await asyncio.sleep(0)
                asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

        held = []
        for count in COUNTS:
            for start in range(0, count, 16):
                await asyncio.gather(*(ask(start + number) for number in range(16)))
            await soon(lambda: one.supervisor.running == one.supervisor.waiting == 0)
            held.append(psutil.Process(pid).memory_info().rss)
        assert one.restarts == []
        grown = (held[1] - held[0]) / (COUNTS[1] - COUNTS[0])
        assert grown < MOST_KEPT_BYTES
