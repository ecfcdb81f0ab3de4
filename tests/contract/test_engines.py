"""What every engine promises: each accepted request settles exactly once, whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import aclosing
from typing import Any

import msgspec
import psutil
import pytest

from hexkey.engines.supervisor import State
from hexkey.errors import Code, ServeError
from hexkey.tasks import entry_of
from hexkey.types import (
    Autocomplete,
    Began,
    Chat,
    Delta,
    Embed,
    Event,
    Finish,
    Message,
    Payload,
    Request,
    Translate,
    Usage,
    Vector,
)
from tests.contract.conftest import Rig
from tests.waiting import soon

BEST_OF = 10
"""A regression is slow each time, a machine that others use is not; one time is enough."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def collect(rig: Rig, request: Request) -> list[Event]:
    async with aclosing(rig.supervisor.run(request)) as events:
        return [event async for event in events if not isinstance(event, Began)]


def answer_of(events: list[Event]) -> str | list[float]:
    """The text, or the numbers of the vectors in order."""
    text = "".join(event.text for event in events if isinstance(event, Delta))
    vectors = {event.index: event.values for event in events if isinstance(event, Vector)}
    numbers = [number for index in sorted(vectors) for number in vectors[index]]
    return text or numbers


def like(answer: str | list[float]) -> Any:
    """What an answer is to be compared with: company may change a vector by rounding."""
    return answer if isinstance(answer, str) else pytest.approx(answer, abs=1e-5)


async def settle(rig: Rig, request: Request) -> Code | None:
    """How a request settled: None with its usage, else the error's code."""
    try:
        events = await collect(rig, request)
    except ServeError as error:
        return error.code
    assert isinstance(events[-1], Usage)
    return None


async def test_a_request_streams_finishes_and_ends_with_its_usage(rig: Rig) -> None:
    request = rig.request(12)
    events = await collect(rig, request)
    assert sum(isinstance(event, Delta | Vector) for event in events) > 1
    complete = [event.index for event in events if isinstance(event, Finish | Vector)]
    assert sorted(complete) == list(range(entry_of(request.payload).outputs(request.payload)))
    usage = events[-1]
    assert isinstance(usage, Usage)
    assert [event for event in events if isinstance(event, Usage)] == [usage]
    assert usage.input_tokens > 0
    assert usage.output_tokens == sum(e.tokens for e in events if isinstance(e, Delta))


async def test_answers_are_the_same_alone_and_in_company(rig: Rig) -> None:
    alone = [answer_of(await collect(rig, rig.request(size))) for size in (3, 6, 9)]
    together = await asyncio.gather(*(collect(rig, rig.request(s)) for s in (3, 6, 9) * 3))
    for number, events in enumerate(together):
        assert answer_of(events) == like(alone[number % 3])


async def test_an_answer_that_is_read_whole_is_the_same(rig: Rig) -> None:
    streamed = await collect(rig, rig.request(20))
    whole = await collect(rig, msgspec.structs.replace(rig.request(20), whole=True))
    assert answer_of(whole) == like(answer_of(streamed))
    ends = [[event for event in one if isinstance(event, Finish)] for one in (whole, streamed)]
    assert ends[0] == ends[1]
    assert isinstance(whole[-1], Usage)


async def test_one_who_leaves_frees_the_engine_and_disturbs_nobody(rig: Rig) -> None:
    expected = answer_of(await collect(rig, rig.request(20)))
    stayer = asyncio.create_task(collect(rig, rig.request(20)))
    leavers = [asyncio.create_task(collect(rig, rig.request(1000))) for _ in range(3)]
    await soon(lambda: rig.supervisor.running >= 2, 5 + rig.step_s)
    for leaver in leavers:
        leaver.cancel()
    assert answer_of(await stayer) == like(expected)
    await soon(lambda: rig.supervisor.running == 0, rig.step_s)
    assert await asyncio.gather(*leavers, return_exceptions=True)


async def test_what_the_model_cannot_do_is_refused_alone(rig: Rig) -> None:
    wrong: Payload = Translate(texts=("a",), source="en", target="pt")
    if isinstance(rig.make(1), Translate | Embed):
        wrong = Chat(messages=(Message("user", "a"),))
    elif rig.supervisor.settings.engine == "fake":  # it does every task
        wrong = Autocomplete(prefix="[[refuse]]")
    elif rig.supervisor.settings.engine == "vllm":  # which translates by instruction
        wrong = Embed(texts=("a",))
    good, bad = await asyncio.gather(
        settle(rig, rig.request(5)),
        settle(rig, Request(id="t", payload=wrong, protocol="test")),
    )
    assert (good, bad) == (None, Code.INVALID_ARGUMENT)


async def test_a_deadline_ends_the_request_here_and_in_the_engine(rig: Rig) -> None:
    took = []
    for _ in range(BEST_OF):
        begun = time.monotonic()
        code = await settle(rig, rig.request(1000, deadline=begun + 0.3))
        assert code is Code.DEADLINE_EXCEEDED
        took.append(time.monotonic() - begun)
        if took[-1] < 0.6:
            break
    assert 0.25 < min(took) < 0.6
    await soon(lambda: rig.supervisor.running == 0, rig.step_s)


async def test_a_host_leads_a_process_group_in_our_session(rig: Rig) -> None:
    """Its own group is ended as one; in a session of its own it kept us from the cores."""
    pid = rig.supervisor.pid
    assert pid is not None
    assert os.getpgid(pid) == pid
    assert os.getsid(pid) == os.getsid(0)


async def test_a_killed_host_fails_its_streams_at_once_and_comes_back(rig: Rig) -> None:
    took = []
    for _ in range(BEST_OF):
        async with aclosing(rig.supervisor.run(rig.request(1000))) as events:
            await anext(events)
            pid = rig.supervisor.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            begun = time.monotonic()
            with pytest.raises(ServeError) as caught:
                async for _ in events:
                    pass
            assert caught.value.code is Code.UNAVAILABLE
            took.append(time.monotonic() - begun)
        assert await settle(rig, rig.request(3)) is None
        assert rig.supervisor.pid != pid
        if took[-1] < rig.noticed_s:
            break
    assert min(took) < rig.noticed_s  # 0.01 s on a quiet machine


async def test_a_request_of_which_nothing_was_seen_moves_to_the_next_host(rig: Rig) -> None:
    expected = answer_of(await collect(rig, rig.request(3)))
    pid = rig.supervisor.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    waiting = asyncio.create_task(collect(rig, rig.request(3)))
    await soon(lambda: rig.supervisor.waiting == 1)
    os.kill(pid, signal.SIGKILL)
    assert answer_of(await waiting) == like(expected)


async def test_a_host_that_hangs_is_found_and_replaced(rig: Rig) -> None:
    await soon(lambda: rig.supervisor.state is State.READY, 60)
    pid = rig.supervisor.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    await soon(lambda: rig.supervisor.pid != pid, rig.supervisor.settings.stall_timeout_s + 4)
    await soon(lambda: not psutil.pid_exists(pid), 10)
    assert await settle(rig, rig.request(3)) is None


async def test_a_stop_settles_what_runs(rig: Rig) -> None:
    await soon(lambda: rig.supervisor.state is State.READY, 60)
    streams = [asyncio.create_task(settle(rig, rig.request(1000))) for _ in range(3)]
    await soon(lambda: rig.supervisor.running >= 1, 5 + rig.step_s)
    pid = rig.supervisor.pid
    await rig.supervisor.stop()
    assert await asyncio.gather(*streams) == [Code.UNAVAILABLE] * 3
    assert pid is not None
    assert not psutil.pid_exists(pid)
    await rig.supervisor.start()
    assert await settle(rig, rig.request(3)) is None
