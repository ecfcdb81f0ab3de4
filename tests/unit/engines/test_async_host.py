"""The loop for engines that another process computes: a frame is a sign of that process's life."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from hexkey.engines.async_host import AsyncHost
from hexkey.engines.base import AsyncEngine, EngineLost, StepReport
from hexkey.engines.frames import (
    PULSE_S,
    Adapt,
    Adapted,
    Ask,
    Cancel,
    Exposition,
    FrameReader,
    FromHost,
    Ready,
    Scrape,
    Shutdown,
    Step,
    Submit,
    ToHost,
    Told,
    encode,
    from_host,
)
from hexkey.engines.host import Channel
from hexkey.engines.lexicon import Tokenize
from hexkey.errors import Code, invalid
from hexkey.models.errors import ModelError
from hexkey.types import PLAIN, Autocomplete, Delta, Failure, ModelInfo, Payload, Terms, Usage


class Puppet:
    """An engine whose steps and pings are given by the test."""

    def __init__(self) -> None:
        self.info = ModelInfo(context_tokens=8)
        self.workers = (4, 5)
        self.reports: asyncio.Queue[StepReport | Exception] = asyncio.Queue()
        self.alive = asyncio.Event()
        self.alive.set()
        self.inside: set[int] = set()
        self.terms: dict[int, Terms] = {}
        self.held: list[tuple[str, bool]] = []
        self.broken = False

    @property
    def running(self) -> int:
        return len(self.inside)

    def add(self, request_id: int, payload: Payload) -> None:
        self.add_on(PLAIN, request_id, payload)

    def add_on(self, terms: Terms, request_id: int, payload: Payload) -> None:
        assert isinstance(payload, Autocomplete)
        self.terms[request_id] = terms
        if payload.prefix == "bad":
            raise invalid("refused as asked")
        self.inside.add(request_id)

    def cancel(self, request_id: int) -> None:
        if self.broken:
            raise RuntimeError("canary")
        self.inside.discard(request_id)

    async def start(self) -> None:
        await self.alive.wait()

    async def step(self) -> StepReport:
        report = await self.reports.get()
        if isinstance(report, Exception):
            raise report
        return report

    async def ping(self) -> None:
        await self.alive.wait()

    async def adapt(self, adapter: str, *, hold: bool) -> None:
        await self.alive.wait()
        if adapter == "bad":
            raise ModelError("no rank")
        self.held.append((adapter, hold))

    def close(self) -> None:
        """Nothing is held."""


class Front:
    """The other end of the socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._frames: FrameReader[FromHost] = FrameReader(from_host)

    def tell(self, *messages: ToHost) -> None:
        self._socket.sendall(b"".join(map(encode, messages)))

    async def hear(self, seconds: float) -> list[FromHost]:
        """What comes first within so long."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                return self._frames.feed(await loop.sock_recv(self._socket, 1 << 16))
        except TimeoutError:
            return []

    async def step(self) -> Step:
        (frame,) = await self.hear(20)
        assert isinstance(frame, Step)
        return frame


Scene = tuple[Puppet, Front, asyncio.Task[None]]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        puppet, front = Puppet(), Front(ours)
        assert isinstance(puppet, AsyncEngine)
        host = asyncio.create_task(AsyncHost(puppet, Channel(theirs), 1).serve())
        ready = (await front.hear(20))[0]
        assert isinstance(ready, Ready)
        assert ready.workers == (4, 5)
        yield puppet, front, host
        host.cancel()
        await asyncio.gather(host, return_exceptions=True)


def ask(number: int, prefix: str = "a") -> Submit:
    return Submit(number, Autocomplete(prefix=prefix))


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what changes it lies behind a socket
            await asyncio.sleep(0.005)


async def test_one_frame_tells_of_all_requests_of_a_step(scene: Scene) -> None:
    puppet, front, _ = scene
    front.tell(ask(1), ask(2), ask(3, "bad"))
    await settled(lambda: puppet.running == 2)
    both = [(1, [Delta(0, "x", 1)]), (2, [Delta(0, "y", 1)])]
    puppet.reports.put_nowait(StepReport(1, 2, [(1, 5, 5)], list(both)))  # type: ignore[arg-type]
    frame = await front.step()
    refused, *others = frame.events
    assert refused[0] == 3
    assert isinstance(refused[1][0], Failure)
    assert others == both
    assert (frame.begin_ns, frame.done_ns, frame.running, frame.computed) == (1, 2, 2, [(1, 5, 5)])


async def test_nothing_leaves_while_the_core_is_silent(scene: Scene) -> None:
    puppet, front, _ = scene
    puppet.alive.clear()
    front.tell(ask(1), ask(2, "bad"))
    await settled(lambda: puppet.running == 1)
    front.tell(Cancel(1))
    await settled(lambda: not puppet.running)
    assert not await front.hear(PULSE_S * 1.5)
    puppet.alive.set()
    frame = await front.step()
    assert frame.running == 0
    assert [request_id for request_id, _ in frame.events] == [2]


async def test_metrics_are_told_only_after_the_core_was_heard_of(scene: Scene) -> None:
    puppet, front, _ = scene
    puppet.alive.clear()
    front.tell(Scrape(), Scrape())
    assert not await front.hear(PULSE_S * 1.5)
    puppet.alive.set()
    frames = await front.hear(20)
    assert [type(frame) for frame in frames] == [Step, Exposition]
    front.tell(ask(1))
    await settled(lambda: puppet.running == 1)
    front.tell(Scrape())
    assert not await front.hear(PULSE_S * 1.5)
    puppet.reports.put_nowait(StepReport(1, 2, [], [(1, [Usage()])]))
    assert [type(frame) for frame in await front.hear(20)] == [Step, Exposition]


async def test_questions_wait_for_the_core_and_one_that_cannot_be_answered_says_so(
    scene: Scene,
) -> None:
    puppet, front, _ = scene
    puppet.alive.clear()
    front.tell(Ask(7, Tokenize("a")))
    assert not await front.hear(PULSE_S * 1.5)
    puppet.alive.set()
    _, told = await front.hear(20)
    assert isinstance(told, Told)
    assert isinstance(told.reply, Failure)
    assert (told.id, told.reply.code) == (7, Code.INVALID_ARGUMENT)


async def test_terms_reach_the_engine(scene: Scene) -> None:
    puppet, front, _ = scene
    terms = Terms("pirate", 3, "salt")
    front.tell(Submit(1, Autocomplete(prefix="a"), terms=terms), ask(2))
    await settled(lambda: puppet.running == 2)
    assert puppet.terms == {1: terms, 2: PLAIN}


async def test_adapters_come_and_go_once_the_core_has_answered(scene: Scene) -> None:
    puppet, front, _ = scene
    puppet.alive.clear()
    front.tell(Adapt("pirate", hold=False), Adapt("bad", hold=True))
    assert not await front.hear(PULSE_S * 1.5)
    puppet.alive.set()
    told: list[FromHost] = []
    while len(told) < 2:
        told += [one for one in await front.hear(20) if isinstance(one, Adapted)]
    assert told == [Adapted("pirate"), Adapted("bad", "no rank")]
    assert puppet.held == [("pirate", False)]


async def test_a_cancel_that_raises_ends_the_host_as_a_step_does(scene: Scene) -> None:
    puppet, front, host = scene
    front.tell(ask(1))
    await settled(lambda: puppet.running == 1)
    puppet.broken = True
    front.tell(Cancel(1), ask(2), ask(3))
    with pytest.raises(RuntimeError):
        await host
    assert [frame for frame in await front.hear(20) if isinstance(frame, Step)]


async def test_an_idle_core_is_asked_every_second(scene: Scene) -> None:
    _, front, _ = scene
    assert (await front.step()).events == []
    assert (await front.step()).events == []


async def test_what_was_cancelled_or_settled_is_not_told_of_again(scene: Scene) -> None:
    puppet, front, _ = scene
    front.tell(ask(1), ask(2))
    await settled(lambda: puppet.running == 2)
    front.tell(Cancel(1))
    await settled(lambda: puppet.running == 1)
    told = []
    for _ in range(2):
        puppet.reports.put_nowait(StepReport(1, 2, [], [(1, [Usage()]), (2, [Usage()])]))
        told += [request_id for request_id, _ in (await front.step()).events]
    assert told == [2]


async def test_a_step_that_raises_fails_all_once(scene: Scene) -> None:
    puppet, front, host = scene
    front.tell(ask(1), ask(2))
    await settled(lambda: puppet.running == 2)
    puppet.reports.put_nowait(RuntimeError("canary"))
    frame = await front.step()
    assert sorted(request_id for request_id, _ in frame.events) == [1, 2]
    for _, (failure,) in frame.events:
        assert isinstance(failure, Failure)
        assert failure.code is Code.INTERNAL
        assert "canary" not in failure.message
    with pytest.raises(RuntimeError):
        await host


async def test_a_lost_core_ends_the_host_without_a_word(scene: Scene) -> None:
    puppet, front, host = scene
    front.tell(ask(1))
    await settled(lambda: puppet.running == 1)
    puppet.reports.put_nowait(EngineLost())
    with pytest.raises(EngineLost):
        await host
    assert not await front.hear(0.1)


@pytest.mark.parametrize("told", [True, False])
async def test_the_host_ends_when_told_or_left(scene: Scene, told: bool) -> None:  # noqa: FBT001 - a parameter of the test
    _, front, host = scene
    if told:
        front.tell(Shutdown())
        await host
    else:
        front._socket.shutdown(socket.SHUT_WR)
        with pytest.raises(EOFError):
            await host
