"""Models come, go and change while requests run: real hosts of the fake engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from unittest.mock import AsyncMock

import msgspec
import pytest

from hexkey import rack as module
from hexkey.admission import Gate
from hexkey.config import QueueConfig
from hexkey.engines import supervisor
from hexkey.engines.process import HostProcess
from hexkey.engines.supervisor import HostSettings, Observer, State
from hexkey.errors import Code, ServeError
from hexkey.identity.quota import Allowance
from hexkey.metrics import Metrics
from hexkey.pool import Pool
from hexkey.residency import GIB, Keep, Spec
from hexkey.routing import Candidate
from hexkey.service import Service
from hexkey.types import Autocomplete, Caller, Delta, Sampling, Task
from hexkey.validation import Limits
from tests.unit.requests import request
from tests.unit.test_metering import value
from tests.waiting import soon

TEXT = frozenset({Task.AUTOCOMPLETE, Task.CHAT})


def spec(name: str, keep: Keep | None = None, **options: object) -> Spec:
    return Spec(
        Candidate(name, TEXT), HostSettings(name, "fake", "", dict(options)), keep or Keep()
    )


@contextlib.asynccontextmanager
async def house(specs: Iterable[Spec], memory: int = 0) -> AsyncIterator[Service]:
    metrics = Metrics()
    pool = Pool(list(specs), metrics, Observer(), memory=memory)
    service = Service(pool, Gate(dict.fromkeys("abc", QueueConfig())), metrics, Limits())
    await pool.start()
    try:
        yield service
    finally:
        await pool.stop()


async def ask(service: Service, model: str, tokens: int = 3) -> int:
    """How many tokens came."""
    payload = Autocomplete(prefix="x", sampling=Sampling(max_tokens=tokens))
    async with service.run(request(payload, model)) as run:
        return sum([event.tokens async for event in run if isinstance(event, Delta)])


async def until(service: Service, model: str, state: State) -> None:
    await soon(lambda: service.pool.states()[model] is state)


async def test_a_model_left_for_its_first_request_is_loaded_by_it() -> None:
    async with house([spec("a"), spec("b", Keep(on_request=True), load_ms=200)]) as service:
        assert service.pool.ready
        assert service.pool.states()["b"] is State.STOPPED
        assert await asyncio.gather(*(ask(service, "b") for _ in range(5))) == [3] * 5
        assert service.pool.states()["b"] is State.READY


async def test_unloading_loses_nothing_and_the_next_request_loads_again() -> None:
    async with house([spec("a", step_ms=5)]) as service:
        running = [asyncio.create_task(ask(service, "a", 200)) for _ in range(4)]
        await soon(lambda: service._gate.running("a") == 4)
        unloading = asyncio.create_task(service.pool.unload("a"))
        await until(service, "a", State.DRAINING)
        late = asyncio.create_task(ask(service, "a"))
        await unloading
        assert await asyncio.gather(*running) == [200] * 4
        assert await late == 3


async def test_a_model_makes_room_for_another_and_a_pinned_one_does_not() -> None:
    third = Keep(memory=GIB)
    models = [
        spec("a", Keep(memory=GIB, pinned=True)),
        spec("b", third),
        spec("c", Keep(on_request=True, memory=GIB)),
    ]
    async with house(models, memory=2 * GIB) as service:
        assert await ask(service, "c") == 3
        states = service.pool.states()
        assert (states["a"], states["b"]) == (State.READY, State.STOPPED)
        assert await ask(service, "b") == 3
        assert service.pool.states()["c"] is State.STOPPED


async def test_who_cannot_fit_is_refused_and_all_else_goes_on() -> None:
    models = [
        spec("a", Keep(memory=GIB, pinned=True)),
        spec("b", Keep(on_request=True, memory=2 * GIB)),
    ]
    async with house(models, memory=2 * GIB) as service:
        with pytest.raises(ServeError) as caught:
            await ask(service, "b")
        assert caught.value.code is Code.UNAVAILABLE
        assert caught.value.reason == "OUT_OF_MEMORY"
        assert "a (1.00 GiB, pinned)" in caught.value.message
        assert await ask(service, "a") == 3


async def test_a_model_that_cannot_be_loaded_tells_why() -> None:
    async with house([spec("a", Keep(on_request=True), load_error="no such file")]) as service:
        with pytest.raises(ServeError) as caught:
            await ask(service, "a")
        assert "no such file" in caught.value.message
        # Who may ask for a model must not be able to make the server look ill by it.
        with pytest.raises(ServeError):
            await service.pool.load("a")
        assert service.ready


async def test_an_idle_model_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_S", 0.05)
    async with house([spec("a", Keep(idle_unload_s=0.2))]) as service:
        await until(service, "a", State.STOPPED)
        assert await ask(service, "a") == 3


async def test_one_that_does_not_end_well_keeps_no_other_from_leaving(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SWEEP_S", 0.05)
    idle = Keep(idle_unload_s=0.2)
    async with house([spec("a", idle), spec("b", idle)]) as service:
        with monkeypatch.context() as patch:
            patch.setattr(
                service.pool._member("a").supervisor, "stop", AsyncMock(side_effect=OSError)
            )
            await until(service, "b", State.STOPPED)


async def test_a_new_version_takes_over_and_no_request_fails() -> None:
    async with house([spec("a", step_ms=5)]) as service:
        results: list[int] = []
        stop = asyncio.Event()

        async def client() -> None:
            while not stop.is_set():
                results.append(await ask(service, "a", 20))

        clients = [asyncio.create_task(client()) for _ in range(4)]
        await soon(lambda: service._gate.running("a") == 4)
        before = service.pool.pids()["a"]
        await service.pool.replace([spec("a", step_ms=4), spec("b")])
        assert service.pool.pids()["a"] != before
        assert await ask(service, "b") == 3
        more = len(results)
        await soon(lambda: len(results) >= more + 8)
        await service.pool.replace([spec("a", step_ms=4)])
        stop.set()
        await asyncio.gather(*clients)
        assert set(results) == {20}
        with pytest.raises(ServeError) as caught:
            await ask(service, "b")
        assert caught.value.code is Code.NOT_FOUND
        ledger = service.pool.billing.devices["machine"].ledger
        await soon(lambda: len(ledger._timeline.books) == 1)
        assert service.pool.billing.statement("time").imbalance == 0


async def test_how_long_a_load_is_waited_for_may_change_without_one() -> None:
    one = spec("a", load_ms=200)
    async with house([one]) as service:
        pid = service.pool.pids()["a"]
        settings = replace(one.settings, cold_start_s=0.01, load_timeout_s=30)
        await service.pool.replace([one._replace(settings=settings)])
        assert service.pool.pids()["a"] == pid
        await service.pool.unload("a")
        with pytest.raises(ServeError, match="does not serve now"):
            await ask(service, "a")
        settings = replace(settings, stall_timeout_s=9)
        await service.pool.replace([one._replace(settings=settings)])
        assert service.pool.pids()["a"] not in {None, pid}


async def test_adapters_are_models_that_their_bases_host_serves() -> None:
    named = [Candidate(name, TEXT) for name in ("b", "c")]
    both = spec("a")._replace(adapters=tuple(named))
    async with house([both]) as service:
        assert [one.name for one in service.pool.catalog] == ["a", "b", "c"]
        assert len(service.pool.pids()) == 1
        for name, text in (("a", "w0 w1 "), ("b", "b0 b1 "), ("c", "c0 c1 ")):
            payload = Autocomplete(prefix="x", sampling=Sampling(max_tokens=2))
            async with service.run(request(payload, model=name)) as run:
                told = [event.text async for event in run if isinstance(event, Delta)]
            assert "".join(told) == text
        await service.pool.replace([spec("a")._replace(adapters=(named[0],))])
        assert await ask(service, "b") == 3
        with pytest.raises(ServeError) as caught:
            await ask(service, "c")
        assert caught.value.code is Code.NOT_FOUND
        assert service.pool.billing.statement("time").imbalance == 0


async def test_a_version_that_cannot_be_loaded_changes_nothing() -> None:
    async with house([spec("a"), spec("b")]) as service:
        pids = service.pool.pids()
        with pytest.raises(ServeError, match="broken"):
            await service.pool.replace([spec("a", step_ms=1), spec("c", load_error="broken")])
        assert service.pool.pids() == pids
        assert [one.name for one in service.pool.catalog] == ["a", "b"]
        assert await ask(service, "a") == 3
        assert set(service.pool.billing.devices["machine"].ledger._timeline.books) == {"a", "b"}


async def test_a_newer_request_of_a_session_needs_no_place_beside_the_one_it_ends() -> None:
    async with house([spec("a", step_ms=10)]) as service:
        service._gate.configure({"a": QueueConfig(concurrency=1, max_requests=0)}, {})
        service.access.allow({"acme": Allowance(concurrent=1, requests_per_minute=4)})

        begun: list[str] = []

        async def key(text: str) -> int:
            payload = Autocomplete(prefix=text, session="s", sampling=Sampling(max_tokens=100))
            wanted = msgspec.structs.replace(request(payload), caller=Caller(tenant="acme"))
            async with service.run(wanted) as run:
                told = [await anext(run)]
                begun.append(text)
                told += [event async for event in run]
                return sum(event.tokens for event in told if isinstance(event, Delta))

        typed = []
        for text in ("h", "he", "hel", "hell", "hello"):
            typed.append(asyncio.create_task(key(text)))
            await soon(lambda: text in begun or typed[-1].done())  # noqa: B023 - it is awaited
        ends = await asyncio.gather(*typed, return_exceptions=True)
        codes = [one.code for one in ends if isinstance(one, ServeError)]
        # The fifth is one too many a minute: it is refused, and the fourth goes on.
        assert codes == [Code.SUPERSEDED] * 3 + [Code.RESOURCE_EXHAUSTED]
        assert ends[3] == 100


async def test_who_leaves_at_the_first_token_has_used_the_input_too() -> None:
    async with house([spec("a", step_ms=5)]) as service:
        service.access.allow({"acme": Allowance(tokens_per_minute=1000)})
        payload = Autocomplete(prefix="word " * 600, sampling=Sampling(max_tokens=50))
        wanted = msgspec.structs.replace(request(payload), caller=Caller(tenant="acme"))

        async def leave() -> None:
            async with service.run(wanted) as run:
                await anext(run)

        await leave()
        with pytest.raises(ServeError, match="1000 tokens per minute"):
            await leave()


async def test_a_fork_that_fails_is_a_load_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house([spec("a"), spec("b", Keep(on_request=True))]) as service:
        with monkeypatch.context() as patch:
            patch.setattr(HostProcess, "start", AsyncMock(side_effect=OSError("no memory")))
            with pytest.raises(ServeError, match="no memory") as caught:
                await service.pool.load("b")
            assert caught.value.code is Code.UNAVAILABLE
        assert service.pool.states()["b"] is State.FAILED
        await service.pool.load("b")
        assert await ask(service, "b") == 3
        # What has served since is not left alone for its failure of before.
        await service.pool.unload("b")
        async with asyncio.timeout(5):
            assert await ask(service, "b") == 3


async def test_a_load_that_is_cancelled_may_be_tried_again() -> None:
    async with house([spec("a", Keep(on_request=True), load_ms=300)]) as service:
        load = asyncio.create_task(service.pool.load("a"))
        await until(service, "a", State.LOADING)
        load.cancel()
        with pytest.raises(asyncio.CancelledError):
            await load
        assert service.pool.states()["a"] is State.STOPPED
        assert await ask(service, "a") == 3


async def test_a_cold_start_is_waited_for_as_long_whoever_began_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "RESTART_WAIT_S", 0.05)
    slow = spec("a", Keep(on_request=True), load_ms=400)
    short = spec("b", Keep(on_request=True), load_ms=400)
    short = short._replace(settings=replace(short.settings, cold_start_s=0.05))
    async with house([slow, short]) as service:
        for model in "ab":
            first = asyncio.create_task(ask(service, model))
            await until(service, model, State.LOADING)
            told = await asyncio.gather(ask(service, model), first, return_exceptions=True)
            if model == "a":
                assert [*told] == [3, 3]
            else:
                assert [one.code for one in told if isinstance(one, ServeError)] == [
                    Code.UNAVAILABLE
                ] * 2


async def test_who_wants_a_model_there_waits_as_a_request_does() -> None:
    slow = spec("a", Keep(on_request=True), load_ms=300)
    bounded = slow._replace(settings=replace(slow.settings, cold_start_s=0.05))
    broken = spec("b", Keep(on_request=True), load_error="no such file")
    async with house([bounded, broken]) as service:
        # Who leaves ends no load: one key could else keep a server busy with beginning them.
        leaving = asyncio.create_task(service.pool.attend("a"))
        await soon(lambda: service.pool.pids()["a"])
        pid = service.pool.pids()["a"]
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        with pytest.raises(ServeError, match="state: loading") as caught:
            await service.pool.attend("a")
        assert caught.value.retry_after_s
        await until(service, "a", State.READY)
        await service.pool.attend("a")
        assert service.pool.pids()["a"] == pid
        # Nor does it try at once what has just failed.
        with pytest.raises(ServeError, match="no such file"):
            await service.pool.attend("b")
        member = service.pool._member("b")
        await soon(lambda: member.failed_at > 0)
        failed_at = member.failed_at
        for _ in range(3):
            with pytest.raises(ServeError, match="no such file"):
                await service.pool.attend("b")
        await asyncio.sleep(0.1)
        assert member.failed_at == failed_at


async def test_a_server_is_ready_while_lazy_and_unloaded_models_load_or_fail() -> None:
    models = [
        spec("a", load_ms=200),
        spec("b", Keep(on_request=True, memory=GIB), load_ms=300),
        spec("c", Keep(on_request=True, memory=9 * GIB)),
    ]
    async with house(models, memory=2 * GIB) as service:
        loading = asyncio.create_task(ask(service, "b"))
        await until(service, "b", State.LOADING)
        assert service.pool.ready
        assert await loading == 3
        with pytest.raises(ServeError):
            await ask(service, "c")
        assert service.pool.states()["c"] is State.FAILED
        assert service.pool.ready
        await service.pool.unload("a")
        loading = asyncio.create_task(ask(service, "a"))
        await until(service, "a", State.LOADING)
        assert service.pool.ready
        assert await loading == 3


async def test_a_server_is_ready_while_a_model_that_made_room_finds_none() -> None:
    models = [
        spec("a", Keep(memory=GIB)),
        spec("b", Keep(on_request=True, memory=2 * GIB), step_ms=20),
    ]
    async with house(models, memory=2 * GIB) as service:
        using = asyncio.create_task(ask(service, "b", 100))
        await until(service, "b", State.READY)
        with pytest.raises(ServeError, match=r"b \(2\.00 GiB, in use\)"):
            await ask(service, "a")
        assert service.pool.states()["a"] is State.FAILED
        assert service.pool.ready
        using.cancel()
        await asyncio.gather(using, return_exceptions=True)


async def test_metrics_tell_the_state_of_the_version_that_serves() -> None:
    broken = spec("a", Keep(on_request=True), load_error="bad file")
    async with house([broken, spec("b", step_ms=20)]) as service:
        with pytest.raises(ServeError):
            await ask(service, "a")
        assert value(service.metrics, "model_state", model="a", state="failed") == 1
        await service.pool.replace([spec("a"), spec("b", step_ms=20)])
        assert value(service.metrics, "model_state", model="a", state="failed") == 0
        assert value(service.metrics, "model_state", model="a", state="ready") == 1
        asking = [asyncio.create_task(ask(service, "b", 200)) for _ in range(3)]
        async with asyncio.timeout(10):
            while not value(service.metrics, "engine_running", model="b"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        os.kill(service.pool.pids()["b"] or 0, signal.SIGKILL)
        async with asyncio.timeout(10):
            while service.pool.states()["b"] is State.READY:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert value(service.metrics, "engine_running", model="b") == 0
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
