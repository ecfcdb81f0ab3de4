"""The supervisor's decisions, with hosts that are scripted here instead of started."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from msgspec.structs import replace
from structlog.testing import capture_logs

from hexkey.engines import backoff, watch
from hexkey.engines.frames import Launch, LoadFailed, Ready, Step, encode
from hexkey.engines.link import Link
from hexkey.engines.process import HostProcess, cpu_seconds, dying, ending
from hexkey.engines.supervisor import HostSettings, Observer, State, Supervisor
from hexkey.errors import Code, ServeError
from hexkey.types import Began, Delta, Event, HostEvent, ModelInfo, Usage
from tests.unit.requests import request
from tests.waiting import soon

INFO = ModelInfo(context_tokens=5)


class ScriptedHost:
    """A host without a process: its link is fed by the test."""

    pid = 12345
    cpu_s = 0.0

    def __init__(self, launch: Launch, link: Link) -> None:
        self.launch = launch
        self.link = link
        self.returncode: int | None = None
        self.dying = False
        self._ended = asyncio.Event()

    def say(self, *messages: Ready | LoadFailed | Step) -> None:
        self.link.data_received(b"".join(map(encode, messages)))

    def step(self, request_id: int, *events: HostEvent) -> None:
        self.say(Step(self.launch.incarnation, 0, 1, 1, [], [(request_id, list(events))]))

    def end(self, returncode: int) -> None:
        self.returncode = returncode
        self._ended.set()
        self.link.connection_lost(None)

    def kill(self) -> None:
        if self.returncode is None:
            self.end(-9)

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    async def stop(self) -> None:
        self.end(0)


Fate = Callable[[ScriptedHost], None]


def ready(host: ScriptedHost) -> None:
    host.say(Ready(host.launch.incarnation, INFO))


@dataclass
class Stage:
    """A supervisor; ``fates`` say what becomes of its hosts in turn, the last of all further.

    Its hosts send no pulse, so only a test that means it gives it a short time to hang.
    """

    fates: list[Fate | Exception] = field(default_factory=lambda: [ready])
    hosts: list[ScriptedHost] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)
    states: list[State] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.supervise()

    def supervise(self, load_timeout_s: float = 60.0, stall_timeout_s: float = 60.0) -> None:
        settings = HostSettings("m", "fake", "", {}, load_timeout_s, stall_timeout_s)
        observer = Observer(
            state=lambda _model, state: self.states.append(state),
            restart=lambda _model, reason: self.restarts.append(reason),
        )
        self.supervisor = Supervisor(settings, observer)

    async def launch(self, launch: Launch, make_link: Callable[[], Link]) -> ScriptedHost:
        fate = self.fates.pop(0) if len(self.fates) > 1 else self.fates[0]
        if isinstance(fate, Exception):
            raise fate
        self.hosts.append(ScriptedHost(launch, make_link()))
        asyncio.get_running_loop().call_soon(fate, self.hosts[-1])
        return self.hosts[-1]

    async def answer(self, deadline: float | None = None) -> list[Event]:
        async with aclosing(self.supervisor.run(request(deadline=deadline))) as events:
            return [event async for event in events if not isinstance(event, Began)]


@pytest_asyncio.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    made = Stage()
    monkeypatch.setattr(HostProcess, "start", made.launch)
    monkeypatch.setattr(backoff, "PAUSES_S", (0.0, 0.001))
    monkeypatch.setattr(watch, "WATCH_S", 0.02)
    with capture_logs():
        yield made
        await made.supervisor.stop()


async def lost(stage: Stage, *tokens: int, again: bool = False) -> bool:
    """Whether a request is said to be lost with which so many hosts end, after so many tokens."""

    async def ask() -> None:
        async with aclosing(stage.supervisor.run(replace(request(), again=again))) as events:
            assert [event async for event in events]

    await soon(lambda: stage.supervisor.state is State.READY)
    asking = asyncio.create_task(ask())
    for written in tokens:
        await soon(lambda: stage.hosts[-1].link.waiting == 1)
        host = stage.hosts[-1]
        for _ in range(written):
            host.step(1, Delta(0, "a", 1))
        host.end(-9)
    with pytest.raises(ServeError) as caught:
        await asking
    return caught.value.lost


async def test_two_processes_at_most_end_with_one_request(stage: Stage) -> None:
    await stage.supervisor.start()
    assert await lost(stage, 1)
    for tokens in (0, 1):
        assert not await lost(stage, 0, tokens)
        assert not await lost(stage, tokens, again=True)
    assert [host.returncode for host in stage.hosts].count(-9) == 7


async def test_a_model_that_loads_serves(stage: Stage) -> None:
    await stage.supervisor.start()
    assert stage.states == [State.LOADING, State.READY]
    assert stage.supervisor.info == INFO
    answer = asyncio.create_task(stage.answer())
    await asyncio.sleep(0)
    stage.hosts[0].step(1, Delta(0, "a", 1), Usage(1, 1))
    assert await answer == [Delta(0, "a", 1), Usage(1, 1)]
    assert stage.hosts[0].link.waiting == 0


@pytest.mark.parametrize(
    ("fate", "says"),
    [
        (lambda host: host.say(LoadFailed("no such file")), "cannot load: no such file"),
        (lambda host: host.end(3), "ended while loading: exit 3"),
        (lambda host: host.end(-11), "ended while loading: signal 11"),
        (lambda _host: None, "not loaded after 0.2 s"),
    ],
)
async def test_a_model_that_does_not_load_says_why(stage: Stage, fate: Fate, says: str) -> None:
    stage.fates = [fate]
    stage.supervise(load_timeout_s=0.2 if "not loaded" in says else 60)
    with pytest.raises(ServeError, match=says) as caught:
        await stage.supervisor.start()
    assert caught.value.code is Code.UNAVAILABLE
    assert stage.supervisor.state is State.FAILED
    assert stage.hosts[0].returncode is not None, "the host was left running"
    with pytest.raises(ServeError, match="does not serve now"):
        await stage.answer()


async def test_a_host_that_ends_is_started_anew(stage: Stage) -> None:
    await stage.supervisor.start()
    stage.hosts[0].end(-9)
    await soon(lambda: len(stage.hosts) == 2 and stage.supervisor.state is State.READY)
    assert stage.restarts == ["signal 9"]
    assert [host.launch.incarnation for host in stage.hosts] == [1, 2]


async def test_a_restart_is_tried_until_it_succeeds(stage: Stage) -> None:
    stage.fates = [
        ready,
        lambda host: host.end(1),
        OSError(11, "no process can be made"),
        lambda host: host.say(LoadFailed("not yet")),
        ready,
    ]
    await stage.supervisor.start()
    stage.hosts[0].end(1)
    await soon(lambda: stage.restarts == ["exit 1", "load", "load", "load"])
    await soon(lambda: stage.supervisor.state is State.READY)
    assert stage.supervisor.error == ""


async def test_whatever_fails_a_restart_is_told_and_tried_again(stage: Stage) -> None:
    stage.fates = [ready, ValueError("stderr is closed"), PermissionError("not ours"), ready]
    await stage.supervisor.start()
    with capture_logs() as logs:
        stage.hosts[0].end(1)
        await soon(lambda: stage.states.count(State.READY) == 2)
    assert stage.restarts == ["exit 1", "load", "load"]
    failed = [one for one in logs if one["event"] == "engine failed to start"]
    assert [(one["kind"], one["why"]) for one in failed] == [
        ("ValueError", "stderr is closed"),
        ("PermissionError", "not ours"),
    ]


async def test_a_host_that_cannot_be_ended_keeps_nobody_from_the_next(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.supervisor.start()

    def kill(_host: ScriptedHost) -> None:
        monkeypatch.undo()
        raise PermissionError

    monkeypatch.setattr(ScriptedHost, "kill", kill)
    stage.hosts[0].end(1)
    await soon(lambda: stage.states.count(State.READY) == 2)
    assert stage.restarts == ["exit 1", "load"]


async def test_a_stop_that_is_cancelled_is_cancelled(stage: Stage) -> None:
    await stage.supervisor.start()
    stopping = asyncio.create_task(stage.supervisor.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    await asyncio.wait({stopping})
    assert stopping.cancelled()


async def test_pauses_grow_and_a_host_that_lives_makes_them_short_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "PAUSES_S", (0.0, 0.001, 0.002))
    await stage.supervisor.start()

    async def crash() -> float:
        served = stage.states.count(State.READY)
        with capture_logs() as logs:
            stage.hosts[-1].end(1)
            await soon(lambda: stage.states.count(State.READY) == served + 1)
        return float(next(one["in_s"] for one in logs if one["event"] == "engine restarts"))

    assert [await crash() for _ in range(4)] == [0.0, 0.001, 0.002, 0.002]
    monkeypatch.setattr(backoff, "HEALTHY_S", 0.0)
    assert await crash() == 0.0


async def test_a_model_that_failed_before_it_was_loaded_anew_is_waited_for(stage: Stage) -> None:
    stage.fates = [ready, *[lambda host: host.say(LoadFailed("no"))] * 2, lambda _host: None]
    await stage.supervisor.start()
    stage.hosts[0].end(1)
    await soon(lambda: len(stage.hosts) == 4)
    with pytest.raises(ServeError, match="does not serve now"):
        await stage.answer()
    await stage.supervisor.stop()
    stage.fates = [ready]
    await stage.supervisor.start()
    stage.fates = [lambda _host: None]
    stage.hosts[-1].end(1)
    await soon(lambda: stage.supervisor.state is State.LOADING)
    waiting = asyncio.create_task(stage.answer())
    await asyncio.sleep(0.01)
    assert not waiting.done(), "it was refused for failures of another life"
    ready(stage.hosts[-1])
    await soon(lambda: stage.hosts[-1].link.waiting == 1)
    stage.hosts[-1].step(1, Usage(1, 1))
    assert await waiting == [Usage(1, 1)]


async def test_a_host_that_is_silent_is_replaced(stage: Stage) -> None:
    stage.supervise(stall_timeout_s=0.5)
    await stage.supervisor.start()
    answer = asyncio.create_task(stage.answer())
    await asyncio.sleep(0)
    stage.hosts[0].step(1, Delta(0, "a", 1))
    with pytest.raises(ServeError, match=r"no progress for 0\.5 s"):
        await answer
    await soon(lambda: stage.restarts == ["stall"])
    assert stage.hosts[0].returncode == -9


async def test_a_request_of_which_something_was_seen_is_not_repeated(stage: Stage) -> None:
    await stage.supervisor.start()
    events = stage.supervisor.run(request())
    async with aclosing(events):
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        stage.hosts[0].step(1, Delta(0, "a", 1))
        assert await first == Delta(0, "a", 1)
        stage.hosts[0].end(1)
        with pytest.raises(ServeError) as caught:
            await anext(events)
    assert caught.value.code is Code.UNAVAILABLE


async def test_a_request_of_which_nothing_was_seen_is_submitted_once_more(stage: Stage) -> None:
    await stage.supervisor.start()
    answer = asyncio.create_task(stage.answer())
    await asyncio.sleep(0)
    stage.hosts[0].end(1)
    await soon(lambda: len(stage.hosts) == 2 and stage.hosts[1].link.waiting == 1)
    stage.hosts[1].end(1)
    with pytest.raises(ServeError) as caught:
        await answer
    assert caught.value.code is Code.UNAVAILABLE


async def test_a_deadline_holds_while_no_host_serves(stage: Stage) -> None:
    stage.fates = [ready, lambda _host: None]
    await stage.supervisor.start()
    stage.hosts[0].end(1)
    await soon(lambda: stage.supervisor.state is State.LOADING)
    with pytest.raises(ServeError) as caught:
        await stage.answer(deadline=asyncio.get_running_loop().time() + 0.02)
    assert caught.value.code is Code.DEADLINE_EXCEEDED


async def test_one_who_leaves_cancels_in_the_engine(stage: Stage) -> None:
    await stage.supervisor.start()
    answer = asyncio.create_task(stage.answer())
    await asyncio.sleep(0)
    assert stage.hosts[0].link.waiting == 1
    answer.cancel()
    await asyncio.gather(answer, return_exceptions=True)
    assert stage.hosts[0].link.waiting == 0


async def test_a_stop_in_the_middle_of_a_restart_ends_everything(stage: Stage) -> None:
    stage.fates = [ready, lambda _host: None]
    await stage.supervisor.start()
    stage.hosts[0].end(1)
    await soon(lambda: len(stage.hosts) == 2)
    await stage.supervisor.stop()
    assert stage.supervisor.state is State.STOPPED
    assert stage.hosts[1].returncode is not None
    assert stage.supervisor.pid is None
    await stage.supervisor.stop()


async def test_a_host_that_was_killed_is_known_before_the_kernel_is_through_with_it(
    stage: Stage,
) -> None:
    await stage.supervisor.start()
    async with aclosing(stage.supervisor.run(request())) as events:
        asking = asyncio.ensure_future(anext(events))
        await soon(lambda: stage.supervisor.waiting == 1)
        (host,) = stage.hosts
        host.step(1, Delta(0, "x", 1))
        await asking
        host.dying = True
        with pytest.raises(ServeError, match="process ended"):
            await anext(events)
        assert host.returncode is None
    host.end(-9)
    await soon(lambda: stage.restarts == ["signal 9"])


def test_a_killed_process_is_dying_at_once_and_one_that_stands_still_is_not() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            process.send_signal(signal.SIGSTOP)
            assert not dying(process.pid)
        finally:
            process.kill()
        assert dying(process.pid)
    assert dying(process.pid)


def test_a_process_that_cannot_be_looked_at_is_not_taken_for_dying() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        found = dying(os.getpid()), cpu_seconds(os.getpid())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert found == (False, 0.0)
    assert cpu_seconds(os.getpid()) > 0


@pytest.mark.parametrize(
    ("returncode", "word"),
    [(None, "exit"), (0, "exit 0"), (3, "exit 3"), (12, "oom"), (-9, "signal 9")],
)
def test_endings_have_names(returncode: int | None, word: str) -> None:
    assert ending(returncode) == word
