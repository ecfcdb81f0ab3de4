"""A reload while models load, wait, leave and want for memory: real hosts of the fake engine."""

from __future__ import annotations

import asyncio

import pytest

from hexkey.config import QueueConfig
from hexkey.engines.supervisor import Observer, State
from hexkey.errors import Code, ServeError
from hexkey.metrics import Metrics
from hexkey.pool import Pool
from hexkey.residency import GIB, Keep
from hexkey.service import Service
from tests.unit.test_rack import ask, house, spec, until
from tests.waiting import soon


async def test_who_waits_for_a_model_that_is_taken_out_goes_elsewhere_or_is_told() -> None:
    async with house([spec("a", step_ms=5), spec("b")]) as service:
        one_at_a_time = QueueConfig(concurrency=1)
        service._gate.configure({"a": one_at_a_time, "b": QueueConfig()}, {})
        running = asyncio.create_task(ask(service, "a", 200))
        waits = [asyncio.create_task(ask(service, model)) for model in ("a", "", "a", "")]
        await soon(lambda: service._gate.waiting("a") == 4)
        await service.pool.replace([spec("b")])
        service._gate.configure({"b": QueueConfig()}, {})
        told = await asyncio.gather(running, *waits, return_exceptions=True)
        assert (told[0], told[2], told[4]) == (200, 3, 3)
        for error in (told[1], told[3]):
            assert isinstance(error, ServeError)
            assert error.code is Code.UNAVAILABLE
        assert not service.pool.billing.devices["machine"].ledger._accounts._open


async def retired(service: Service) -> None:
    async with asyncio.timeout(20):
        while service.pool._rack._leaving:  # noqa: ASYNC110 - no event outside
            await asyncio.sleep(0.02)


def supervised() -> int:
    """How many hosts somebody keeps alive."""
    return sum(one.get_name().startswith("supervise") for one in asyncio.all_tasks())


async def test_a_version_that_is_replaced_while_it_loads_leaves_no_host_behind() -> None:
    lazy = Keep(on_request=True)
    async with house([spec("a", lazy, load_ms=1200)]) as service:
        asking = asyncio.create_task(ask(service, "a"))
        await until(service, "a", State.LOADING)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await service.pool.replace([spec("a", load_ms=1)])
        assert await ask(service, "a") == 3
        await retired(service)
        assert supervised() == 1
    assert supervised() == 0


async def test_a_reload_waits_for_the_start() -> None:
    pool = Pool([spec("a", load_ms=800)], Metrics(), Observer())
    starting = asyncio.create_task(pool.start())
    await asyncio.sleep(0.2)
    await pool.replace([spec("a", load_ms=1)])
    assert starting.done()
    await starting
    assert pool.states() == {"a": State.READY}
    await pool.stop()
    assert supervised() == 0


async def test_who_waits_for_a_version_that_was_unloaded_and_then_replaced_is_served() -> None:
    async with house([spec("a", step_ms=10)]) as service:
        running = asyncio.create_task(ask(service, "a", 100))
        await soon(lambda: service._gate.running("a") == 1)
        unloading = asyncio.create_task(service.pool.unload("a"))
        await until(service, "a", State.DRAINING)
        late = asyncio.create_task(ask(service, "a"))
        await asyncio.sleep(0)
        await service.pool.replace([spec("a", step_ms=1)])
        await unloading
        assert await running == 100
        assert await late == 3


async def test_a_refused_reload_leaves_no_model_half_unloaded() -> None:
    big = Keep(memory=GIB)
    async with house([spec("a", big, step_ms=1)], memory=int(1.5 * GIB)) as service:
        old = service.pool._rack.members["a"].supervisor
        end = old._end_host

        async def slowly() -> None:
            await asyncio.sleep(1.0)
            await end()

        old._end_host = slowly  # type: ignore[method-assign]
        with pytest.raises(ServeError, match="bad file"):
            await service.pool.replace(
                [
                    spec("a", big, step_ms=1),
                    spec("c", Keep(memory=1), load_error="bad file"),
                    spec("b", big),
                ]
            )
        assert await ask(service, "a") == 3


async def test_a_reload_keeps_within_the_memory() -> None:
    async with house([spec("a", Keep(memory=GIB // 2, pinned=True))], memory=2 * GIB) as service:
        large = Keep(memory=3 * GIB // 2)
        with pytest.raises(ServeError, match=r"needs 1\.50 GiB"):
            await service.pool.replace(
                [spec("a", Keep(memory=GIB // 2, pinned=True)), spec("b", large), spec("c", large)]
            )
        assert service.pool.states() == {"a": State.READY}
        assert not service.pool._rack._coming


async def test_a_model_that_leaves_is_not_unloaded_to_make_room() -> None:
    big = Keep(on_request=True, memory=GIB)
    async with house([spec("a", Keep(memory=GIB))], memory=GIB) as service:
        old = service.pool._rack.members["a"].supervisor
        end, may_end = old._end_host, asyncio.Event()

        async def held() -> None:
            await may_end.wait()
            await end()

        old._end_host = held  # type: ignore[method-assign]
        await service.pool.replace([spec("b", big)])
        await asyncio.sleep(0.05)
        with pytest.raises(ServeError, match=r"in memory stay: a \(1\.00 GiB, in use\)"):
            await service.pool.load("b")
        may_end.set()
        await retired(service)
        await service.pool.load("b")
        assert await ask(service, "b") == 3
