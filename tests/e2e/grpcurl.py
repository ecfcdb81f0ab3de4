"""What grpcurl does, in Python: it knows no proto file and asks the server for everything."""

from __future__ import annotations

import shlex
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)


def run(line: str) -> list[dict[str, Any]]:
    """Run ``grpcurl -plaintext [-d JSON] ADDRESS SERVICE/METHOD``; returns the messages."""
    program, *words = shlex.split(line)
    assert program == "grpcurl"
    words.remove("-plaintext")
    data = "{}"
    if words[0] == "-d":
        _, data, *words = words
    address, path = words
    service, _, name = path.partition("/")
    with grpc.insecure_channel(address) as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        method = pool.FindServiceByName(service).FindMethodByName(name)
        answer = GetMessageClass(method.output_type)
        request = json_format.Parse(data, GetMessageClass(method.input_type)())
        call = channel.unary_stream(f"/{path}", type(request).SerializeToString, answer.FromString)
        return [json_format.MessageToDict(one) for one in call(request)]
