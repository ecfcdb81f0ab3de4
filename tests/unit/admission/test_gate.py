"""The gate: callers wait, are let in, refused, leave; whatever happens, nothing is left behind."""

from __future__ import annotations

import asyncio
import random

import pytest

from hexkey.admission import Gate, Permit
from hexkey.config import QueueConfig
from hexkey.errors import Code, ServeError
from hexkey.types import Request, Usage
from tests.unit.requests import request


def gate(**policy: float) -> Gate:
    return Gate({"m": QueueConfig(**{"concurrency": 1, **policy})})  # type: ignore[arg-type]


def soon(seconds: float) -> Request:
    return request(deadline=asyncio.get_running_loop().time() + seconds)


async def waiting(one: Gate, wanted: Request | None = None) -> asyncio.Task[Permit]:
    """Start a caller that has to wait."""
    task = asyncio.create_task(one.admit(wanted or request(), "m"))
    await asyncio.sleep(0)
    assert not task.done()
    return task


def empty(one: Gate) -> bool:
    return one.running("m") == one.waiting("m") == 0 and not one._queues["m"]._waiters


async def test_a_permit_that_comes_back_lets_the_next_one_in() -> None:
    one = gate()
    with await one.admit(request(), "m"):
        task = await waiting(one)
        assert (one.running("m"), one.waiting("m")) == (1, 1)
    with await task:
        assert (one.running("m"), one.waiting("m")) == (1, 0)
    assert empty(one)


async def test_the_engine_makes_room_before_its_caller_has_read_all() -> None:
    one = gate()
    with await one.admit(request(), "m") as permit:
        task = await waiting(one)
        permit.settle(Usage(1, 1))
        with await task:
            assert one.running("m") == 1
            permit.settle(Usage(1, 1))
            assert one.running("m") == 1
    assert empty(one)


async def test_who_leaves_the_queue_leaves_nothing_behind() -> None:
    one = gate()
    with await one.admit(request(), "m"):
        task = await waiting(one)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert one.waiting("m") == 0
    assert empty(one)


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_who_leaves_in_the_moment_of_its_turn_gives_it_back(*, cancel_first: bool) -> None:
    one = gate()
    permit = await one.admit(request(), "m")
    task = await waiting(one)
    if cancel_first:
        task.cancel()
        permit.settle(None)
    else:
        permit.settle(None)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert empty(one)


async def test_a_deadline_ends_the_wait() -> None:
    one = gate()
    with await one.admit(request(), "m"):
        with pytest.raises(ServeError) as caught:
            await one.admit(soon(0.05), "m")
        assert (caught.value.code, caught.value.reason) == (
            Code.DEADLINE_EXCEEDED,
            "EXPIRED_IN_QUEUE",
        )
        assert caught.value.retry_after_s
        assert one.waiting("m") == 0
    assert empty(one)


async def test_places_are_what_the_engine_says_unless_the_operator_does() -> None:
    policies = {"asks": QueueConfig(), "told": QueueConfig(concurrency=2)}
    one = Gate(policies, places=lambda _model: 3)
    permits = [await one.admit(request(), "asks") for _ in range(3)]
    assert one.running("asks") == 3
    permits += [await one.admit(request(), "told") for _ in range(2)]
    late = asyncio.create_task(one.admit(request(), "told"))
    await asyncio.sleep(0)
    assert one.waiting("told") == 1
    for permit in permits:
        permit.settle(None)
    (await late).settle(None)
    assert one.running("asks") == one.running("told") == 0


async def test_what_waits_is_told_by_model_and_class() -> None:
    one = gate()
    with await one.admit(request(), "m"):
        task = await waiting(one)
        counted = {priority.value: (number, tokens) for _, priority, number, tokens in one.lanes()}
        assert counted == {"interactive": (0, 0), "normal": (1, 1), "batch": (0, 0)}
    with await task:
        pass


async def test_what_waits_for_a_model_that_goes_is_refused_and_may_go_elsewhere() -> None:
    one = gate()
    queue = one._queues["m"]
    with await one.admit(request(), "m"):
        tasks = [await waiting(one) for _ in range(3)]
        one.configure({}, {})
        for task in tasks:
            with pytest.raises(ServeError, match="not served any more") as caught:
                await task
            assert caught.value.code is Code.UNAVAILABLE
    assert (queue.scheduler.running, queue.scheduler.lanes.requests) == (0, 0)


async def test_a_turn_that_comes_just_before_its_model_goes_is_given_back() -> None:
    one = gate()
    queue = one._queues["m"]
    permit = await one.admit(request(), "m")
    task = await waiting(one)
    permit.settle(None)
    one.configure({}, {})
    with pytest.raises(ServeError, match="not served any more"):
        await task
    assert queue.scheduler.running == 0


async def test_a_whole_queue_may_leave_at_once() -> None:
    one = gate(max_requests=2000)
    permit = await one.admit(request(), "m")
    tasks = [await waiting(one) for _ in range(1500)]
    for task in tasks:
        task.cancel()
    permit.settle(None)
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)
    assert empty(one)


async def test_a_thousand_callers_with_every_fate_leave_it_empty() -> None:
    one = gate(concurrency=4, max_requests=20)
    dice = random.Random(5)  # noqa: S311 - chance, not secrets
    served = refused = left = 0

    async def call() -> None:
        nonlocal served, refused, left
        await asyncio.sleep(dice.random() * 0.2)
        deadline = soon(dice.random() * 0.05) if dice.random() < 0.3 else request()
        try:
            async with asyncio.timeout(dice.choice([0.001, 0.01, 9])):
                with await one.admit(deadline, "m") as permit:
                    assert one.running("m") <= 4
                    await asyncio.sleep(0.001)
                    permit.settle(Usage(1, 1))
                    served += 1
        except ServeError:
            refused += 1
        except TimeoutError:
            left += 1

    await asyncio.gather(*(call() for _ in range(1000)))
    assert served + refused + left == 1000
    assert min(served, refused, left) > 0
    assert empty(one)
