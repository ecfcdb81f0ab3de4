"""Reflection as real tools use it: the synchronous client, in a thread, over a real channel."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from hexkey.wire.grpc import reflection
from tests.wire.grpc.grpc_house import EOF, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICES = {
    "hexkey.v1.InferenceService",
    "inference.GRPCInferenceService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
}


async def test_v1alpha_lists_and_describes(house: House) -> None:
    def look() -> tuple[set[str], list[str]]:
        with grpc.insecure_channel(house.address) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            pool = DescriptorPool(database)
            service = pool.FindServiceByName("hexkey.v1.InferenceService")
            pool.FindMessageTypeByName("hexkey.v1.AutocompleteRequest")
            pool.FindMessageTypeByName("inference.ModelInferRequest.InferInputTensor")
            for name in SERVICES:
                pool.FindServiceByName(name)
            return set(database.get_services()), [method.name for method in service.methods]

    services, methods = await asyncio.to_thread(look)
    assert services == SERVICES
    assert "StreamAutocomplete" in methods


async def test_v1_lists_and_describes(house: House) -> None:
    call = house.channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )()
    await call.write(ServerReflectionRequest(list_services=""))
    listed = (await call.read()).list_services_response.service
    assert {one.name for one in listed} == SERVICES
    for symbol in (*SERVICES, "hexkey.v1.StreamEvent"):
        await call.write(ServerReflectionRequest(file_containing_symbol=symbol))
        assert (await call.read()).file_descriptor_response.file_descriptor_proto
    await call.write(ServerReflectionRequest(file_containing_symbol="no.such.Symbol"))
    code = (await call.read()).error_response.error_code
    assert code == grpc.StatusCode.NOT_FOUND.value[0]
    await call.done_writing()
    assert await call.read() is EOF
    assert set(reflection.NAMES) < SERVICES
