"""Deadlines, clients that leave or dawdle, a stop under load, a port in use."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import inference_pb2_grpc
from hexkey.wire.address import AddressInUse
from hexkey.wire.grpc import server as server_module
from hexkey.wire.grpc.call import Call
from hexkey.wire.grpc.limits import GrpcLimits
from hexkey.wire.grpc.server import GrpcServer
from tests.unit.test_metering import value
from tests.wire.grpc.grpc_house import House, details_of, metadata_of, open_house, rest

if TYPE_CHECKING:
    from pathlib import Path

    from google.protobuf.message import Message

    from hexkey.routing import Plan
    from hexkey.types import Request

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What the fake engine would take 50 s for, and what else is in the engine so that it keeps telling.
LONG = pb.AutocompleteRequest(prefix="a", model="slow", max_tokens=5000)
SLACK_S = 10.0


@pytest.mark.parametrize("streams", [False, True])
async def test_a_deadline_ends_the_call_and_the_work(house: House, streams: bool) -> None:  # noqa: FBT001
    other = house.stub.StreamAutocomplete(LONG)
    await other.read()
    begun = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (
            rest(house.stub.StreamAutocomplete(LONG, timeout=0.05))
            if streams
            else house.stub.Autocomplete(LONG, timeout=0.05)
        )
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - begun < 0.1 + SLACK_S
    assert await house.until_running("slow", 1) < 0.1 + SLACK_S
    other.cancel()
    await house.until_running("slow", 0)


async def test_the_requests_deadline_is_the_calls(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float | None] = []
    plan = house.service.plan

    async def noted(request: Request) -> Plan:
        seen.append(request.deadline)
        return await plan(request)

    monkeypatch.setattr(house.service, "plan", noted)
    message = pb.AutocompleteRequest(prefix="a", max_tokens=1)
    await house.stub.Autocomplete(message, timeout=30)
    await house.stub.Autocomplete(message)
    assert seen[0] is not None
    # grpc rounds what it sends up, by less than a hundredth.
    assert 25 < seen[0] - time.monotonic() < 30.5
    assert seen[1] is None


@pytest.mark.parametrize("streams", [False, True])
async def test_a_cancel_reaches_the_engine(house: House, streams: bool) -> None:  # noqa: FBT001
    other = house.stub.StreamAutocomplete(LONG)
    await other.read()
    call = house.stub.StreamAutocomplete(LONG) if streams else house.stub.Autocomplete(LONG)
    if streams:
        await call.read()
    await house.until_running("slow", 2)
    call.cancel()
    assert await house.until_running("slow", 1) < 0.1 + SLACK_S
    other.cancel()
    await house.until_running("slow", 0)
    assert house.service._gate.running("slow") == 0


async def test_many_clients_that_vanish_leave_nothing_behind(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as logs:
        for _ in range(5):
            own: Any = grpc.aio.insecure_channel(
                house.address, options=[("grpc.use_local_subchannel_pool", 1)]
            )
            async with own as channel:
                method = channel.unary_stream("/hexkey.v1.InferenceService/StreamAutocomplete")
                calls = [method(LONG.SerializeToString()) for _ in range(10)]
                await asyncio.gather(*(call.read() for call in calls))
        await house.until_running("slow", 0)
    outcomes = [entry["outcome"] for entry in logs if entry["event"] == "request"]
    assert outcomes == ["cancelled"] * 50
    assert not [entry for entry in logs if entry["log_level"] == "error"]
    assert house.service._gate.running("slow") == 0
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_reader_that_stops_reading_stops_the_writer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    write = Call.write

    async def counted(call: Call, message: Message) -> None:
        nonlocal written
        await write(call, message)
        written += message.ByteSize()

    monkeypatch.setattr(Call, "write", counted)
    whole = pb.AutocompleteRequest(prefix="a", model="bulk", max_tokens=(1 << 20) - 1, n=4)
    call = house.stub.StreamAutocomplete(whole)
    await call.read()
    before = -1
    async with asyncio.timeout(60):
        while before != written:
            before = written
            await asyncio.sleep(0.2)
            for _ in range(5):  # so it is this call that stands still, and not the loop
                assert (await house.stub.Autocomplete(pb.AutocompleteRequest(prefix="a"))).id
    assert 0 < written < 12 << 20
    call.cancel()
    await house.until_running("bulk", 0)


async def test_a_reader_that_comes_back_gets_it_all_in_messages_it_can_take(house: House) -> None:
    tokens = (1 << 20) - 1
    call = house.stub.StreamAutocomplete(
        pb.AutocompleteRequest(prefix="a", model="bulk", max_tokens=tokens)
    )
    events = [await call.read()]
    await house.until_running("bulk", 0, within_s=30)
    events += await rest(call)
    assert max(event.ByteSize() for event in events) < 64 << 10
    assert sum(event.delta.token_count for event in events) == tokens
    words = "".join(event.delta.text for event in events).split()
    assert words == [f"w{number}" for number in range(tokens)]


async def test_a_stop_under_load_loses_nothing() -> None:
    async with open_house(("slow",)) as house:
        message = pb.AutocompleteRequest(prefix="a", max_tokens=40)
        whole = [asyncio.ensure_future(house.stub.Autocomplete(message)) for _ in range(20)]
        streams = [house.stub.StreamAutocomplete(message) for _ in range(5)]
        firsts = await asyncio.gather(*(call.read() for call in streams))
        assert {event.WhichOneof("event") for event in firsts} == {"start"}
        stopping = asyncio.create_task(house.server.stop(grace_s=10))
        await asyncio.sleep(0.05)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await house.stub.Autocomplete(message, timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        for call in streams:
            events = await rest(call)
            assert sum(event.delta.token_count for event in events) == 40
            words = "".join(event.delta.text for event in events).split()
            assert words == [f"w{number}" for number in range(40)]
            assert events[-1].WhichOneof("event") == "usage"
        answers = await asyncio.gather(*whole)
        assert {answer.usage.output_tokens for answer in answers} == {40}
        await stopping


async def test_a_stop_cuts_what_outlasts_the_grace() -> None:
    async with open_house(("slow",)) as house:
        call = house.stub.StreamAutocomplete(LONG)
        await call.read()
        begun = time.monotonic()
        await house.server.stop(grace_s=0.3)
        assert time.monotonic() - begun < 0.3 + SLACK_S
        with pytest.raises(grpc.aio.AioRpcError):
            await rest(call)
        await house.until_running("slow", 0)


async def test_a_port_in_use_is_refused(house: House) -> None:
    second = GrpcServer(house.service)
    with pytest.raises(AddressInUse, match=house.address):
        await second.start(house.address)
    await second.stop(0)


async def test_grpc_itself_shares_no_port(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def free(_: str) -> None:
        pass

    monkeypatch.setattr(server_module, "ensure_free", free)
    with pytest.raises(OSError, match="cannot listen"):
        await GrpcServer(house.service).start(house.address)


async def test_a_name_that_is_half_in_use_is_refused(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressInUse):
            await GrpcServer(house.service).start(f"localhost:{port}")


@pytest.mark.parametrize(
    "address",
    ["nonsense", "host:", ":80", "1.2.3.4:99999", "unix:", "1.2.3.4:0", "nowhere.invalid:1"],
)
async def test_what_is_no_address_is_refused_by_name(house: House, address: str) -> None:
    with pytest.raises((ValueError, OSError)) as caught:
        await GrpcServer(house.service).start(address)
    assert address in str(caught.value)


async def test_a_unix_socket_serves_and_is_not_taken_over(house: House, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/grpc.sock"
    server = GrpcServer(house.service)
    await server.start(address)
    own: Any = grpc.aio.insecure_channel(address)
    async with own as channel:
        method = channel.unary_unary("/hexkey.v1.InferenceService/ListModels")
        assert pb.ListModelsResponse.FromString(await method(b"")).models
    with pytest.raises(AddressInUse):
        await GrpcServer(house.service).start(address)
    await server.stop(0)
    (tmp_path / "grpc.sock").write_text("not a socket")
    with pytest.raises(OSError, match="not a socket"):
        await GrpcServer(house.service).start(address)


async def test_calls_at_a_time_are_bounded(house: House) -> None:
    server = GrpcServer(house.service, limits=GrpcLimits(max_calls=2))
    address = f"127.0.0.1:{await server.start('127.0.0.1:0')}"
    options = [("grpc.use_local_subchannel_pool", 1)]
    try:
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            make_stub: Any = inference_pb2_grpc.InferenceServiceStub
            stub = make_stub(channel)
            running = [stub.StreamAutocomplete(LONG) for _ in range(2)]
            for one in running:
                await one.read()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.ListModels(pb.ListModelsRequest())
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            packed = metadata_of(caught.value.trailing_metadata())["grpc-status-details-bin"]
            details = details_of(status_pb2.Status.FromString(packed))
            assert details["ErrorInfo"].reason == "OVERLOADED"
            assert details["RetryInfo"].retry_delay.ToTimedelta().total_seconds() == 1
            assert value(house.service.metrics, "rejected_total", reason="overloaded") == 1
            health: Any = health_pb2_grpc.HealthStub(channel)
            assert await health.Check(health_pb2.HealthCheckRequest()), "it lives, though full"
            infer = "/inference.GRPCInferenceService/ModelStreamInfer"
            with pytest.raises(grpc.aio.AioRpcError, match="calls are under way"):
                await channel.stream_stream(infer, None, None)(iter([b""])).read()
            for one in running:
                one.cancel()
            await house.until_running("slow", 0)
            assert (await stub.ListModels(pb.ListModelsRequest())).models
    finally:
        await server.stop(0)
