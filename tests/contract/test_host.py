"""The host loop itself: a step that raises, a parent that dies, frames of another life."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from hexkey.engines import factory
from hexkey.engines.base import AsyncEngine, LoadContext, StepReport
from hexkey.engines.fake import FakeEngine, FakeOptions
from hexkey.engines.frames import (
    FrameReader,
    FromHost,
    Launch,
    Shutdown,
    Step,
    Submit,
    encode,
    from_host,
)
from hexkey.engines.host import Channel, Host
from hexkey.engines.link import Link
from hexkey.errors import Code
from hexkey.types import Delta, Failure, Usage
from tests.contract.conftest import ENGINES, RUNS_ON
from tests.terminal import terminal
from tests.waiting import until


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    with ours, theirs:
        yield ours, theirs


def frames_until_closed(sock: socket.socket) -> list[Step]:
    reader: FrameReader[FromHost] = FrameReader(from_host)
    steps: list[Step] = []
    while data := sock.recv(1 << 20):
        steps += [frame for frame in reader.feed(data) if isinstance(frame, Step)]
    return steps


@pytest.mark.parametrize("name", list(ENGINES))
def test_a_step_that_raises_settles_everything_once_and_ends_the_host(
    name: str, request: pytest.FixtureRequest, pair: tuple[socket.socket, socket.socket]
) -> None:
    model, options, make = ENGINES[name]
    folder = request.getfixturevalue(model) if model else Path()
    engine = factory.find(RUNS_ON.get(name, name))(
        LoadContext(name, folder, options, lambda _text: None)
    )
    assert not isinstance(engine, AsyncEngine)
    real_step, steps = engine.step, 0

    def step() -> object:
        nonlocal steps
        steps += 1
        if steps > 2:
            raise RuntimeError("canary in a library's exception")
        return real_step()

    engine.step = step  # type: ignore[method-assign, assignment]
    ours, theirs = pair
    raised: list[BaseException] = []

    def serve() -> None:
        try:
            Host(engine, Channel(theirs), 1).serve()
        except RuntimeError as error:
            raised.append(error)
        finally:
            theirs.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=serve)
    thread.start()
    for request_id in (1, 2, 3):
        ours.sendall(encode(Submit(request_id, make(100))))
    ends = [
        (request_id, event)
        for frame in frames_until_closed(ours)
        for request_id, events in frame.events
        for event in events
        if isinstance(event, Usage | Failure)
    ]
    thread.join()
    engine.close()
    assert raised
    assert sorted(request_id for request_id, _ in ends) == [1, 2, 3]
    for _, event in ends:
        assert isinstance(event, Failure)
        assert event.code is Code.INTERNAL
        assert "canary" not in event.message


class Counted(Channel):
    """A channel that counts how often it wakes the other end."""

    sent = 0

    def send(self, message: FromHost) -> None:
        self.sent += 1
        super().send(message)


@pytest.mark.parametrize("whole", [False, True])
def test_steps_that_nobody_waits_for_travel_together_and_in_order(
    pair: tuple[socket.socket, socket.socket],
    monkeypatch: pytest.MonkeyPatch,
    whole: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    # As many steps as fit into this travel together, and fewer do on a slower machine.
    monkeypatch.setattr("hexkey.engines.host.HOLD_S", 1.0)
    ours, theirs = pair
    context = LoadContext("m", Path(), {"step_ms": 1}, lambda _text: None)
    engine = factory.find("fake")(context)
    assert not isinstance(engine, AsyncEngine)
    channel = Counted(theirs)

    def serve() -> None:
        Host(engine, channel, 1).serve()
        theirs.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=serve)
    thread.start()
    ours.sendall(encode(Submit(1, ENGINES["fake"][2](100), whole)))
    reader: FrameReader[FromHost] = FrameReader(from_host)
    steps: list[Step] = []
    while not any(isinstance(events[-1], Usage) for step in steps for _, events in step.events):
        steps += [frame for frame in reader.feed(ours.recv(1 << 20)) if isinstance(frame, Step)]
    ours.sendall(encode(Shutdown()))
    thread.join()
    told = [event for step in steps for _, events in step.events for event in events]
    assert "".join(e.text for e in told if isinstance(e, Delta)).split()[::33] == [
        "w0",
        "w33",
        "w66",
        "w99",
    ]
    assert sum(bool(step.computed) for step in steps) == 100
    assert [step.begin_ns for step in steps] == sorted(step.begin_ns for step in steps)
    assert channel.sent < 50 if whole else channel.sent >= 100


class Unhurried(FakeEngine):
    """A patient engine that counts how often it could be."""

    skims = 0

    def skim(self, enough: Callable[[], bool]) -> list[StepReport]:
        reports = [self.step()]
        while not enough() and self.running and not reports[-1].events:
            reports.append(self.step())
        self.skims += len(reports)
        return reports


@pytest.mark.parametrize("whole", [[True, True], [True, False]])
def test_a_patient_engine_skims_while_nobody_waits(
    pair: tuple[socket.socket, socket.socket], whole: list[bool]
) -> None:
    ours, theirs = pair
    engine = Unhurried(FakeOptions(step_ms=1))

    def serve() -> None:
        Host(engine, Channel(theirs), 1).serve()
        theirs.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=serve)
    for request_id, one in enumerate(whole):
        ours.sendall(encode(Submit(request_id, ENGINES["fake"][2](100), one)))
    thread.start()
    reader: FrameReader[FromHost] = FrameReader(from_host)
    settled, steps = 0, 0
    while settled < len(whole):
        for frame in reader.feed(ours.recv(1 << 20)):
            assert isinstance(frame, Step)
            steps += bool(frame.computed)
            settled += sum(isinstance(events[-1], Usage) for _, events in frame.events)
    ours.sendall(encode(Shutdown()))
    thread.join()
    assert steps == 100
    assert 0 < engine.skims < 100 if all(whole) else engine.skims == 0


PARENT = """
import asyncio, subprocess, sys
from hexkey.engines.supervisor import HostSettings, Supervisor
async def main():
    supervisor = Supervisor(HostSettings(model="m", engine="fake", folder="", options={}))
    await supervisor.start()
    print(supervisor.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def test_a_host_ends_with_its_parent_however_that_ended() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    host = psutil.Process(int(parent.stdout.readline()))
    with parent.stdout:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    begun = time.monotonic()
    while host.is_running() and host.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() - begun < 10, "the host outlived its parent"
        time.sleep(0.01)


HOST = """
import subprocess, sys
print(subprocess.Popen(["sleep", "60"]).pid, flush=True)
from hexkey.engines import host
host.main()
"""


def test_a_host_takes_its_descendants_along() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        host = subprocess.Popen(
            [sys.executable, "-c", HOST, str(theirs.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(theirs.fileno(),),
            process_group=0,  # as a host is started
        )
        with host:
            assert host.stdin is not None
            assert host.stdout is not None
            child = psutil.Process(int(host.stdout.readline()))
            ours.sendall(encode(Launch(1, "fake", "m", "", {})))
            assert b"ready" in ours.recv(1 << 16)
            host.stdin.close()
            assert host.wait(20) == -signal.SIGKILL
            begun = time.monotonic()
            while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
                assert time.monotonic() - begun < 10, "the host's child outlived it"
                time.sleep(0.01)


AT_A_TERMINAL = """
import os
from hexkey.engines import factory, host
from hexkey.models.errors import ModelError

def load(_context):
    terminal = os.open("/dev/tty", os.O_RDWR)
    os.write(terminal, b"a library's word")
    try:
        os.read(terminal, 1)
    except OSError as error:
        raise ModelError(f"to read was refused: {error.strerror}")

factory.find = lambda _engine: load
host.main()
"""
SESSION = """
import socket, subprocess, sys, termios
from hexkey.engines.frames import Launch, encode
settings = termios.tcgetattr(0)
settings[3] |= termios.TOSTOP
termios.tcsetattr(0, termios.TCSANOW, settings)
ours, theirs = socket.socketpair()
command = [sys.executable, "-c", sys.argv[1], str(theirs.fileno())]
descriptors = {"stdin": subprocess.PIPE, "pass_fds": (theirs.fileno(),)}
host = subprocess.Popen(command, **descriptors, process_group=0)
theirs.close()
ours.sendall(encode(Launch(1, "fake", "m", "", {})))
print(ours.recv(1 << 16))
host.wait()
"""


def test_a_host_is_not_stopped_by_the_terminal_of_its_session() -> None:
    with terminal([sys.executable, "-c", SESSION, AT_A_TERMINAL]) as window:
        until(lambda: window.ended, 30, "the host's end")
        assert "a library's word" in window.shown
        assert "to read was refused: Input/output error" in window.shown


async def test_frames_of_an_earlier_launch_are_dropped() -> None:
    link = Link(2, lambda _link: None, lambda _step: None, lambda _text: None)
    request_id, mailbox = link.submit(ENGINES["fake"][2](1))
    late = Step(1, 0, 0, 0, [], [(request_id, [Delta(0, "late", 1), Usage()])])
    current = Step(2, 0, 0, 0, [], [(request_id, [Delta(0, "current", 1), Usage()])])
    link.data_received(encode(late) + encode(current))
    event = await asyncio.wait_for(mailbox.get(), 1)
    assert isinstance(event, Delta)
    assert event.text == "current"
