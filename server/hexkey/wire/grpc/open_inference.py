"""``inference.GRPCInferenceService``: the Open Inference Protocol over gRPC."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import grpc

from hexkey import __version__, polyglot
from hexkey.errors import ServeError, invalid
from hexkey.tasks import entry_of
from hexkey.types import Delta, Usage
from hexkey.v1 import open_inference_pb2 as pb
from hexkey.wire.answer import gather
from hexkey.wire.grpc import call as calls
from hexkey.wire.grpc.errors import TOKENS_EMITTED
from hexkey.wire.oip import models
from hexkey.wire.oip.tensors import pack, read, texts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from google.protobuf.message import Message

    from hexkey.polyglot import Polyglot
    from hexkey.run import Run
    from hexkey.service import Service
    from hexkey.types import Payload, Task
    from hexkey.wire.grpc.call import Call, Method, Methods
    from hexkey.wire.grpc.guard import Guard
    from hexkey.wire.oip.tensors import Tensor

NAME = "inference.GRPCInferenceService"
FINAL = "triton_final_response"
EMPTY_FINAL = "triton_enable_empty_final_response"


class OpenInference:
    """Answers the protocol's calls from the one ``Service``."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def handler(self, guard: Guard) -> Methods:
        """Return the service as grpc registers it; health is for everyone."""
        everybody = partial(calls.unary, guard)
        unary = partial(everybody, identify=self._identify)
        methods: dict[str, Method] = {
            "ServerLive": everybody(pb.ServerLiveRequest.FromString, self.server_live),
            "ServerReady": everybody(pb.ServerReadyRequest.FromString, self.server_ready),
            "ModelReady": unary(pb.ModelReadyRequest.FromString, self.model_ready),
            "ServerMetadata": everybody(pb.ServerMetadataRequest.FromString, self.server),
            "ModelMetadata": unary(pb.ModelMetadataRequest.FromString, self.model),
            "ModelInfer": unary(pb.ModelInferRequest.FromString, self.infer),
            "ModelStreamInfer": calls.duplex(
                guard, pb.ModelInferRequest.FromString, self.stream_infer, identify=self._identify
            ),
        }
        return grpc.method_handlers_generic_handler(NAME, methods)

    async def server_live(self, _message: Message, _call: Call) -> pb.ServerLiveResponse:
        """Say that the server runs."""
        return pb.ServerLiveResponse(live=True)

    async def server_ready(self, _message: Message, _call: Call) -> pb.ServerReadyResponse:
        """Say whether every model serves."""
        return pb.ServerReadyResponse(ready=self._service.ready)

    async def server(self, _message: Message, _call: Call) -> pb.ServerMetadataResponse:
        """Say what the server is."""
        return pb.ServerMetadataResponse(
            name="hexkey", version=__version__, extensions=models.EXTENSIONS
        )

    async def model_ready(self, message: pb.ModelReadyRequest, call: Call) -> pb.ModelReadyResponse:
        """Say whether a model serves."""
        return pb.ModelReadyResponse(ready=models.ready(message.name, call.caller, self._service))

    async def model(self, message: pb.ModelMetadataRequest, call: Call) -> pb.ModelMetadataResponse:
        """Say what a model takes and gives."""
        catalog = self._service.catalog(call.caller)
        inputs, outputs = models.SPECS[models.task_of(message.name, catalog)]
        kind = pb.ModelMetadataResponse.TensorMetadata
        return pb.ModelMetadataResponse(
            name=message.name,
            versions=[models.VERSION],
            platform=models.PLATFORM,
            inputs=(kind(name=one.name, datatype=one.datatype, shape=one.shape) for one in inputs),
            outputs=(
                kind(name=one.name, datatype=one.datatype, shape=one.shape) for one in outputs
            ),
        )

    async def infer(self, message: pb.ModelInferRequest, call: Call) -> pb.ModelInferResponse:
        """Run a model."""
        task, payload = self._asked(message, call)
        run = polyglot.run(self._service, call.request(payload, message.model_name))
        run.whole()
        call.traceparent = run.traceparent
        async with run:
            answer = await gather(run)
        call.used(answer.usage)
        call.answered(run.model)
        return _response(message, run.model, models.tensors_of(task, answer))

    async def stream_infer(self, messages: AsyncIterator[pb.ModelInferRequest], call: Call) -> None:
        """Run a model for each request, one after the other; an error ends only its request."""
        async for message in messages:
            call.emitted = 0
            try:
                task, payload = self._asked(message, call)
                run = polyglot.run(self._service, call.request(payload, message.model_name))
                async with run:
                    await _told(message, task, payload, run, call)
            except ServeError as error:
                failed = pb.ModelInferResponse(id=message.id, model_name=message.model_name)
                failed.parameters[TOKENS_EMITTED].int64_param = call.emitted
                await call.write(
                    pb.ModelStreamInferResponse(error_message=error.message, infer_response=failed)
                )

    def _asked(self, message: pb.ModelInferRequest, call: Call) -> tuple[Task, Payload]:
        given = {name: _value(one) for name, one in message.parameters.items()}
        asked = models.parameters_of(given)
        task = models.task_of(message.model_name, self._service.catalog(call.caller), asked.task)
        return task, models.payload_of(task, _inputs(message), asked)

    def _identify(self, call: Call) -> None:
        call.caller = self._service.access.identify(call.credential())


async def _told(
    message: pb.ModelInferRequest, task: Task, payload: Payload, run: Run | Polyglot, call: Call
) -> None:
    """Answer one request of a stream: a text as it comes, vectors, scores and many texts at once.

    The protocol has no word for which of several outputs a piece is of.
    """
    is_text = models.SPECS[task][1][0].name == models.TEXT_OUT
    if not is_text or entry_of(payload).outputs(payload) > 1:
        answer = await gather(run)
        call.used(answer.usage)
        response = _response(message, run.model, models.tensors_of(task, answer))
        await _write(call, response, final=True)
        return
    async for event in run:
        if type(event) is Delta:
            call.emitted += event.tokens
            piece = texts(models.TEXT_OUT, [event.text])
            await _write(call, _response(message, run.model, [piece]), final=False)
        elif type(event) is Usage:
            call.used(event)
            if message.parameters[EMPTY_FINAL].bool_param:
                await _write(call, _response(message, run.model, []), final=True)


def _inputs(message: pb.ModelInferRequest) -> dict[str, Tensor]:
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise invalid(
            f"there are {len(message.inputs)} inputs and {len(raw)} raw contents", "inputs"
        )
    return {
        one.name: read(
            one.name,
            one.datatype,
            one.shape,
            raw[index] if raw else list(one.contents.bytes_contents),
        )
        for index, one in enumerate(message.inputs)
    }


def _value(parameter: pb.InferParameter) -> object:
    which = parameter.WhichOneof("parameter_choice")
    return getattr(parameter, which) if which else None


def _response(
    message: pb.ModelInferRequest, model: str, tensors: Sequence[Tensor]
) -> pb.ModelInferResponse:
    wanted = {one.name for one in message.outputs}
    kept = [one for one in tensors if not wanted or one.name in wanted]
    kind = pb.ModelInferResponse.InferOutputTensor
    return pb.ModelInferResponse(
        model_name=model,
        model_version=models.VERSION,
        id=message.id,
        outputs=(kind(name=one.name, datatype=one.datatype, shape=one.shape) for one in kept),
        raw_output_contents=map(pack, kept),
    )


async def _write(call: Call, response: pb.ModelInferResponse, *, final: bool) -> None:
    response.parameters[FINAL].bool_param = final
    await call.write(pb.ModelStreamInferResponse(infer_response=response))
