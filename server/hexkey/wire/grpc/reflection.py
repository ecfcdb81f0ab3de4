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
    from hexkey.wire.grpc.guard import Guard

_ALPHA = "grpc.reflection.v1alpha"
_V1 = "grpc.reflection.v1"
NAMES = (f"{_ALPHA}.ServerReflection", f"{_V1}.ServerReflection")
_PARSE = reflection_pb2.ServerReflectionRequest.FromString
_SERIALIZE = reflection_pb2.ServerReflectionResponse.SerializeToString


def handlers(files: Sequence[FileDescriptorProto], guard: Guard) -> list[Methods]:
    """Return both versions; they describe ``files``, each after its imports, and themselves."""
    pool = DescriptorPool()
    own = reflection_pb2.DESCRIPTOR
    for file in (*files, file_of(own), renamed(own, _V1)):
        pool.AddSerializedFile(file.SerializeToString())
    names = [f"{file.package}.{service.name}" for file in files for service in file.service]
    aio = reflection.aio  # type: ignore[attr-defined]  # its stubs do not know of it
    servicer = aio.ReflectionServicer((*names, *NAMES), pool=pool)

    async def handle(
        frames: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[reflection_pb2.ServerReflectionResponse]:
        call = Call(context)
        try:
            with guard.watcher():
                requests = (parsed(_PARSE, frame) async for frame in frames)
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


def file_of(descriptor: FileDescriptor) -> FileDescriptorProto:
    """Return a file as it is."""
    file = FileDescriptorProto()
    descriptor.CopyToProto(file)
    return file


def renamed(descriptor: FileDescriptor, package: str) -> FileDescriptorProto:
    """Return a file as if it had been declared in another package, with the folder of that name."""
    file = file_of(descriptor)
    before = f".{file.package}."

    def fit(name: str) -> str:
        return f".{package}." + name.removeprefix(before) if name.startswith(before) else name

    file.name = f"{package.replace('.', '/')}/{file.name.rpartition('/')[2]}"
    file.package = package
    messages = [*file.message_type]
    while messages:
        message = messages.pop()
        messages += message.nested_type
        for field in message.field:
            if field.type_name:
                field.type_name = fit(field.type_name)
    for service in file.service:
        for method in service.method:
            method.input_type, method.output_type = fit(method.input_type), fit(method.output_type)
    return file
