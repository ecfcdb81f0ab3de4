"""Server reflection, v1alpha and v1, so that tools such as grpcurl need no proto files.

The two versions differ in the name of their package only; grpcio-reflection has v1alpha, so v1 is
the same servicer and the same file under another name.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection, reflection_pb2

from hexkey.wire.grpc.call import Call, parsed
from hexkey.wire.grpc.errors import foreseen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from google.protobuf.descriptor import FileDescriptor

    from hexkey.wire.grpc.call import Context, Methods

_ALPHA = "grpc.reflection.v1alpha"
_V1 = "grpc.reflection.v1"
NAMES = (f"{_ALPHA}.ServerReflection", f"{_V1}.ServerReflection")
_PARSE = reflection_pb2.ServerReflectionRequest.FromString
_SERIALIZE = reflection_pb2.ServerReflectionResponse.SerializeToString


def handlers(files: Sequence[FileDescriptor]) -> list[Methods]:
    """Return both versions; they describe ``files``, each after its imports, and themselves."""
    pool = DescriptorPool()
    for file in (*files, reflection_pb2.DESCRIPTOR):
        pool.AddSerializedFile(file.serialized_pb)
    pool.AddSerializedFile(_as_v1(reflection_pb2.DESCRIPTOR).SerializeToString())
    names = [service.full_name for file in files for service in file.services_by_name.values()]
    aio = reflection.aio  # type: ignore[attr-defined]  # its stubs do not know of it
    servicer = aio.ReflectionServicer((*names, *NAMES), pool=pool)

    async def handle(
        frames: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[reflection_pb2.ServerReflectionResponse]:
        call = Call(context)
        requests = (parsed(_PARSE, frame) async for frame in frames)
        try:
            async with aclosing(servicer.ServerReflectionInfo(requests, context)) as answers:
                async for answer in answers:
                    yield answer
        except Exception as error:  # noqa: BLE001 - the outermost frame of ours: nothing may leak
            refused = foreseen(error, call.id)
        else:
            return
        await call.refuse(refused)

    method = grpc.stream_stream_rpc_method_handler(handle, None, _SERIALIZE)
    return [
        grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": method})
        for name in NAMES
    ]


def _as_v1(alpha: FileDescriptor) -> FileDescriptorProto:
    file = FileDescriptorProto()
    alpha.CopyToProto(file)
    file.name, file.package = file.name.replace("v1alpha", "v1"), _V1
    for message in file.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(_ALPHA, _V1)
    for method in file.service[0].method:
        method.input_type = method.input_type.replace(_ALPHA, _V1)
        method.output_type = method.output_type.replace(_ALPHA, _V1)
    return file
