from __future__ import annotations

import asyncio
import os
import signal

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from tests.wire.grpc.grpc_house import EOF, House, open_house

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICE = "hexkey.v1.InferenceService"
Status = health_pb2.HealthCheckResponse


def ask(name: str = "") -> health_pb2.HealthCheckRequest:
    return health_pb2.HealthCheckRequest(service=name)


async def test_the_server_and_its_service_are_serving(house: House) -> None:
    stub = HealthStub(house.channel)
    for name in ("", SERVICE):
        assert (await stub.Check(ask(name))).status == Status.SERVING


async def test_an_unknown_service_is_not_found_and_watched_as_unknown(house: House) -> None:
    stub = HealthStub(house.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(ask("other.Service"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    watch = stub.Watch(ask("other.Service"))
    assert (await watch.read()).status == Status.SERVICE_UNKNOWN
    watch.cancel()


async def test_every_watcher_hears_of_a_change_also_after_another_left(house: House) -> None:
    stub = HealthStub(house.channel)
    stays, leaves = stub.Watch(ask()), stub.Watch(ask())
    assert (await stays.read()).status == (await leaves.read()).status == Status.SERVING
    leaves.cancel()
    await asyncio.sleep(0.05)
    house.server.set_ready(False)
    async with asyncio.timeout(20):
        assert (await stays.read()).status == Status.NOT_SERVING
    assert (await stub.Check(ask())).status == Status.NOT_SERVING
    house.server.set_ready(True)
    async with asyncio.timeout(20):
        assert (await stays.read()).status == Status.SERVING
    stays.cancel()


async def test_a_model_that_dies_shows_by_itself() -> None:
    async with open_house(("late",)) as house:
        watch = HealthStub(house.channel).Watch(ask(SERVICE))
        assert (await watch.read()).status == Status.SERVING
        pid = house.service.pool.pids()["late"]
        assert pid
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(20):
            assert (await watch.read()).status == Status.NOT_SERVING
            assert (await watch.read()).status == Status.SERVING
        watch.cancel()


async def test_a_stop_is_told_first_and_ends_every_watch() -> None:
    async with open_house(("slow",)) as house:
        stub = HealthStub(house.channel)
        watch = stub.Watch(ask())
        assert (await watch.read()).status == Status.SERVING
        # One that does not read may lose what came when the connection closes.
        coming = asyncio.ensure_future(watch.read())
        begun = asyncio.get_running_loop().time()
        await house.server.stop(grace_s=5)
        assert asyncio.get_running_loop().time() - begun < 4
        assert (await coming).status == Status.NOT_SERVING
        assert await watch.read() is EOF
