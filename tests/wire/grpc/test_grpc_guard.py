"""What a client may cost before any model is involved: time, memory, connections, places."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hexkey.identity.keyring import Keyring
from hexkey.v1 import inference_pb2 as pb
from hexkey.wire.grpc import reflection
from hexkey.wire.grpc.guard import Guard
from hexkey.wire.grpc.limits import GrpcLimits
from tests.waiting import soon
from tests.wire.grpc import frames
from tests.wire.grpc.grpc_house import EOF, House, details_of, metadata_of, open_house

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SERVICE = "/hexkey.v1.InferenceService/"
LONG = pb.AutocompleteRequest(prefix="a", model="slow", max_tokens=5000)
QUICK = pb.AutocompleteRequest(prefix="a", max_tokens=1)
WATCHED = health_pb2.HealthCheckRequest()


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    """Return how a call was refused, and for which reason."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    packed = metadata_of(caught.value.trailing_metadata())["grpc-status-details-bin"]
    return caught.value.code(), details_of(status_pb2.Status.FromString(packed))["ErrorInfo"].reason


async def messages(*said: bytes, ended: asyncio.Event) -> AsyncIterator[bytes]:
    """Say these, and nothing more until the end."""
    for one in said:
        yield one
    await ended.wait()


async def status(house: House) -> grpc.StatusCode:
    """Ask for little; return how it went."""
    code: grpc.StatusCode = await house.stub.Autocomplete(QUICK).code()
    return code


async def hello(house: House, more: bytes = b"") -> asyncio.StreamReader:
    """Connect, and say so much and nothing more."""
    host, _, port = house.address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    reader.owner = writer  # type: ignore[attr-defined]  # else it is closed for want of users
    writer.write(frames.HELLO + more)
    return reader


@pytest.mark.parametrize("method", ["Autocomplete", "StreamAutocomplete", "ListModels"])
async def test_a_message_that_does_not_come_holds_no_place(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, reading = Guard.read, asyncio.Semaphore(0)

    async def told(guard: Guard, context: Any) -> bytes:
        reading.release()
        return await read(guard, context)

    monkeypatch.setattr(Guard, "read", told)
    limits = GrpcLimits(max_calls=3, message_s=1.5)
    async with open_house(("fast",), limits=limits) as house, asyncio.timeout(20):
        slow = [await hello(house, frames.call_of(method, b"\x0a", size=1000)) for _ in range(3)]
        for _ in slow:
            await reading.acquire()
        assert await status(house) is grpc.StatusCode.UNAVAILABLE
        for one in slow:
            await one.readuntil(b"the message came too slowly")
        while await status(house) is not grpc.StatusCode.OK:
            pass


async def test_a_call_without_a_message_is_refused() -> None:
    async with open_house(("fast",)) as house, asyncio.timeout(20):
        ended = asyncio.Event()
        ended.set()
        call = house.channel.stream_unary(SERVICE + "Autocomplete")(messages(ended=ended))
        assert await refusal(call) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "path",
    [
        SERVICE + "Autocomplete",
        SERVICE + "StreamAutocomplete",
        SERVICE + "ListModels",
        "/inference.GRPCInferenceService/ModelInfer",
    ],
)
async def test_who_has_no_key_is_refused_before_a_message_comes(path: str) -> None:
    async with open_house(("fast",)) as house, asyncio.timeout(20):
        house.service.access.keyring = Keyring((), bytes(32), required=True)
        never = asyncio.Event()
        call = house.channel.stream_stream(path)(messages(ended=never))
        assert await refusal(call.read()) == (grpc.StatusCode.UNAUTHENTICATED, "API_KEY_INVALID")
        never.set()


async def test_what_messages_hold_is_bounded_as_long_as_their_calls_run() -> None:
    large = pb.AutocompleteRequest(prefix="x" * 1000, model="slow", max_tokens=150)
    limits = GrpcLimits(max_held_bytes=1500)
    async with open_house(("slow",), limits=limits) as house, asyncio.timeout(20):
        first = asyncio.ensure_future(house.stub.Autocomplete(large))
        await house.until_running("slow", 1)
        call = house.stub.Autocomplete(large)
        assert await refusal(call) == (grpc.StatusCode.UNAVAILABLE, "OVERLOADED")
        assert (await house.stub.Autocomplete(QUICK)).id
        assert (await first).id
        large.max_tokens = 1
        assert (await house.stub.Autocomplete(large)).id


async def test_those_who_watch_are_bounded() -> None:
    limits = GrpcLimits(max_watchers=2)
    async with open_house(("fast",), limits=limits) as house, asyncio.timeout(20):
        ended = asyncio.Event()
        health: Any = health_pb2_grpc.HealthStub(house.channel)
        reflect = house.channel.stream_stream(f"/{reflection.NAMES[0]}/ServerReflectionInfo")
        watching = [health.Watch(WATCHED), reflect(messages(b"", ended=ended))]
        for one in watching:
            await one.read()
        for late in (health.Watch(WATCHED), reflect(messages(b"", ended=ended))):
            assert await refusal(late.read()) == (grpc.StatusCode.UNAVAILABLE, "OVERLOADED")
        assert (await health.Check(WATCHED)).status == health_pb2.HealthCheckResponse.SERVING
        for one in watching:
            one.cancel()
        ended.set()
        again = health.Watch(WATCHED)
        while await again.read() is EOF:
            again = health.Watch(WATCHED)


async def test_a_client_that_hangs_is_found_and_its_work_ended() -> None:
    limits = GrpcLimits(keepalive_s=0.5, keepalive_timeout_s=0.5)
    async with open_house(("slow",), limits=limits) as house, asyncio.timeout(20):
        call = frames.call_of("StreamAutocomplete", LONG.SerializeToString())
        reader = await hello(house, call)
        await house.until_running("slow", 1)
        await house.until_running("slow", 0, within_s=15)
        await reader.read()


async def test_connections_are_bounded() -> None:
    limits = GrpcLimits(max_connections=3)
    async with open_house(("fast",), limits=limits) as house, asyncio.timeout(20):
        assert await status(house) is grpc.StatusCode.OK
        crowd = [await hello(house) for _ in range(6)]
        ends = {asyncio.ensure_future(reader.read()) for reader in crowd}
        while len(ends) > 2:  # the third is the house's own
            _, ends = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        assert await status(house) is grpc.StatusCode.OK
        for end in ends:
            assert not end.done()
            end.cancel()


async def test_a_connection_that_is_of_no_use_is_closed() -> None:
    limits = GrpcLimits(idle_s=0.5)
    async with open_house(("fast",), limits=limits) as house, asyncio.timeout(20):
        assert await status(house) is grpc.StatusCode.OK
        idle = await hello(house)
        await idle.readuntil(b"idle")
        assert await status(house) is grpc.StatusCode.OK


async def test_calls_that_are_taken_back_at_once_leave_nothing() -> None:
    """The flood that HTTP/2 invites to (CVE-2023-44487); grpc sheds what it cannot queue."""
    async with open_house() as house, asyncio.timeout(60):
        flood = b"".join(
            frames.call_of("Autocomplete", LONG.SerializeToString(), stream=number)
            + frames.frame(frames.RST_STREAM, 0, number, b"\0\0\0\x08")
            for number in range(1, 6000, 2)
        )
        crowd = [await hello(house, flood) for _ in range(3)]
        await asyncio.gather(*(reader.readexactly(9) for reader in crowd))
        while await status(house) is not grpc.StatusCode.OK:
            pass
        gate = house.service._gate
        # The engine may be idle while calls are still on their way to it.
        await soon(
            lambda: house.running("slow") == gate.running("slow") == gate.waiting("slow") == 0
        )
