"""Clients that leave, servers that stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from hexkey.config import QueueConfig
from hexkey.wire.address import AddressInUse
from hexkey.wire.http.server import HttpServer
from tests.waiting import soon
from tests.wire.http.http_house import open_house, post

if TYPE_CHECKING:
    import httpx

    from tests.wire.http.http_house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")
SLOW = {"model": "acme/slow", "prefix": "x", "max_tokens": 5000}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("abort", [False, True])
async def test_a_client_that_leaves_frees_the_engine(
    house: House,
    stream: bool,  # noqa: FBT001
    abort: bool,  # noqa: FBT001
) -> None:
    reader, writer = await house.connect()
    writer.write(post("/v1/autocomplete", json.dumps({**SLOW, "stream": stream}).encode()))
    await house.busy("acme/slow")
    if stream:
        await reader.readuntil(b'"delta"')
    if abort:
        writer.transport.abort()
    else:
        writer.close()
    assert await house.idle("acme/slow", 10)
    label = 'model="acme/slow",outcome="cancelled",protocol="http"'
    assert label in house.service.metrics.render().decode()


async def test_several_prompts_leave_together(house: House) -> None:
    body = {"model": "acme/slow", "prompt": ["a", "b", "c"], "max_tokens": 5000, "stream": True}
    reader, writer = await house.connect()
    writer.write(post("/v1/completions", json.dumps(body).encode()))
    await reader.readuntil(b'"text"')
    writer.close()
    assert await house.idle("acme/slow", 10)


async def test_prompts_that_wait_leave_with_their_client() -> None:
    body = {"model": "acme/slow", "prompt": "x", "max_tokens": 100}
    waiting = json.dumps(body | {"prompt": ["a", "b", "c"], "max_tokens": 5000}).encode()
    async with open_house(queue=QueueConfig(concurrency=1)) as house, house.client() as client:
        first = asyncio.create_task(client.post("/v1/completions", json=body))
        await house.busy("acme/slow")
        _reader, writer = await house.connect()
        writer.write(post("/v1/completions", waiting))
        await queued(house, 3)
        writer.close()
        await queued(house, 0)
        assert (await first).status_code == 200
        assert await house.idle("acme/slow", 10)
        assert house.service._gate.running("acme/slow") == 0


async def queued(house: House, count: int) -> None:
    """Wait until so many requests wait for the slow model."""
    async with asyncio.timeout(20):
        while house.service._gate.waiting("acme/slow") != count:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.005)


KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/v1/autocomplete", SLOW),
    ("/v1/autocomplete", {**SLOW, "stream": True}),
    ("/v1/autocomplete", {**SLOW, "session": "s"}),
    ("/v1/autocomplete", {**SLOW, "session": "s", "prefix": "xw", "stream": True}),
    ("/v1/autocomplete", {**SLOW, "n": 3, "temperature": 1}),
    ("/v1/completions", {**SLOW, "prompt": ["a", "b"], "stream": True}),
    ("/v1/translate", {"text": ["a b c d"] * 50, "source": "en", "target": "pt", "stream": True}),
)


async def test_clients_of_every_kind_that_vanish_leave_nothing_behind() -> None:
    async with open_house() as house:
        service = house.service

        def kept() -> tuple[object, ...]:
            queues, ledger = service._gate._queues, service.pool.billing.devices["machine"].ledger
            return (
                len(asyncio.all_tasks()),
                psutil.Process().num_fds(),
                [(service._gate.running(one), len(queues[one]._waiters)) for one in queues],
                [service.pool._member(model).supervisor.users for model in queues],
                [house.running(model) for model in queues],
                (len(service.sessions.latest), len(service.sessions._newest)),
                len(ledger._accounts._open),
            )

        async def vanish(number: int) -> None:
            path, body = KINDS[number % len(KINDS)]
            reader, writer = await house.connect()
            deadline = [f"X-Request-Timeout-Ms: {number + 20}"] if number % 3 == 0 else []
            writer.write(post(path, json.dumps(body).encode(), *deadline))
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(number % 10 / 50):
                    while await reader.read(1000):
                        pass
            if number % 2:
                writer.transport.abort()
            else:
                writer.close()

        before = kept()
        for _ in range(3):
            await asyncio.gather(*map(vanish, range(5 * len(KINDS))))
        await soon(lambda: kept() == before, what="nothing left behind")


async def test_a_client_that_leaves_before_its_body_is_whole(house: House) -> None:
    _reader, writer = await house.connect()
    writer.write(post("/v1/autocomplete", b"x" * 100)[:-50])
    await asyncio.sleep(0.05)
    writer.close()
    async with house.client() as client:
        assert (await client.get("/health")).status_code == 200


async def test_a_port_in_use_is_told_with_its_address(house: House) -> None:
    with pytest.raises(AddressInUse, match=rf"choose another: 127.0.0.1:{house.port}"):
        await HttpServer(house.service).start("127.0.0.1", house.port)


async def test_ipv6() -> None:
    async with open_house() as house:
        server = HttpServer(house.service)
        port = await server.start("::1", 0)
        _, writer = await asyncio.open_connection("::1", port)
        writer.close()
        await server.stop(0)


async def test_a_stop_lets_what_runs_finish() -> None:
    async with open_house() as house, house.client() as client:
        bodies = [
            {"model": "coder", "prefix": "x", "max_tokens": 1000, "stream": index % 2 == 0}
            for index in range(40)
        ]
        posts = [asyncio.create_task(client.post("/v1/autocomplete", json=b)) for b in bodies]
        await soon(lambda: house.running("coder") == 40)
        await house.server.stop(grace_s=60)
        for response in await asyncio.gather(*posts):
            assert response.status_code == 200
            assert "w999 " in response.text
        with pytest.raises(ConnectionRefusedError):
            await house.connect()


async def test_a_stop_under_steady_load_loses_nothing() -> None:
    async with open_house() as house, house.client() as client:
        ended = asyncio.Event()
        served = Counter[int]()

        async def caller(number: int) -> None:
            while not ended.is_set():
                response: httpx.Response = await client.post(
                    "/v1/autocomplete", json={"prefix": "x", "max_tokens": 3}
                )
                assert response.status_code == 200
                served[number] += 1
                if response.headers.get("connection") == "close":
                    return

        callers = [asyncio.create_task(caller(number)) for number in range(16)]
        # Each has a connection then: whoever comes to a closed door is refused, and rightly.
        await soon(lambda: len(served) == len(callers))
        before = served.total()
        await house.server.stop(grace_s=10)
        ended.set()
        await asyncio.gather(*callers)
        assert served.total() > before


async def test_what_outlives_the_grace_is_told_so() -> None:
    async with open_house() as house, house.client() as client:
        stream = asyncio.create_task(client.post("/v1/autocomplete", json={**SLOW, "stream": True}))
        unary = asyncio.create_task(client.post("/v1/autocomplete", json=SLOW))
        await soon(lambda: house.running("acme/slow") == 2)
        began = time.monotonic()
        await house.server.stop(grace_s=0.5)
        assert time.monotonic() - began < 10
        assert (await unary).status_code == 503
        last = [block for block in (await stream).text.split("\n\n") if block][-1]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "stopping"
        assert await house.idle("acme/slow", 10)


async def test_stopping_twice_and_before_starting(house: House) -> None:
    server = HttpServer(house.service)
    await server.stop(0)
    await server.start("127.0.0.1", 0)
    await server.stop(0)
    await server.stop(0)
