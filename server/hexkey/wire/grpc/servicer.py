"""The methods of ``hexkey.v1.InferenceService``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import grpc

from hexkey import polyglot
from hexkey.types import Delta, Translate, Usage
from hexkey.v1 import inference_pb2 as pb
from hexkey.wire.answer import gather
from hexkey.wire.grpc import call as calls
from hexkey.wire.grpc.codec import (
    Served,
    constraints,
    event,
    explanation,
    model,
    priority,
    start,
)
from hexkey.wire.grpc.codecs import CODECS, explained
from hexkey.wire.wishes import Wishes

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from hexkey.polyglot import Polyglot
    from hexkey.run import Run
    from hexkey.service import Service
    from hexkey.types import Payload, Request
    from hexkey.wire.grpc.call import Call, Method, Methods
    from hexkey.wire.grpc.codecs import TaskCodec
    from hexkey.wire.grpc.guard import Guard

NAME = "hexkey.v1.InferenceService"


class InferenceServicer:
    """Answers calls from the one ``Service``; errors leave as ``ServeError``."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def handler(self, guard: Guard) -> Methods:
        """Return the service as grpc registers it; every method needs to know who calls."""
        unary = partial(calls.unary, guard, identify=self._identify)
        stream = partial(calls.stream, guard, identify=self._identify)
        methods: dict[str, Method] = {}
        for task, one in CODECS.items():
            name = task.title()
            methods[name] = unary(one.request.FromString, partial(self._whole, one))
            if one.streams:
                methods[f"Stream{name}"] = stream(
                    one.request.FromString, partial(self._stream, one)
                )
        methods["ListModels"] = unary(pb.ListModelsRequest.FromString, self.list_models)
        methods["ExplainRoute"] = unary(pb.ExplainRouteRequest.FromString, self.explain_route)
        return grpc.method_handlers_generic_handler(NAME, methods)

    async def list_models(
        self, _message: pb.ListModelsRequest, call: Call
    ) -> pb.ListModelsResponse:
        """List the models that are the caller's to use."""
        pool, catalog = self._service.pool, self._service.catalog(call.caller)
        states, failing = pool.states(), self._service.board.failing
        models = (
            model(one, states[one.name], pool.info(one.name), failing=failing(one.name))
            for one in catalog
        )
        return pb.ListModelsResponse(models=models)

    async def explain_route(
        self, message: pb.ExplainRouteRequest, call: Call
    ) -> pb.ExplainRouteResponse:
        """Tell how a request would be routed."""
        payload, asked = explained(message)
        plan = await self._service.explain(_request(payload, asked, call))
        return explanation(plan)

    def _identify(self, call: Call) -> None:
        call.caller = self._service.access.identify(call.credential())

    async def _whole(self, codec: TaskCodec, message: Any, call: Call) -> Message:
        """Answer a task's message whole."""
        request = _request(codec.decode(message), message, call)
        run = polyglot.run(self._service, request)
        run.whole()
        call.traceparent = run.traceparent
        async with run:
            answer = await gather(run)
        call.used(answer.usage)
        call.answered(run.model)
        return codec.encode(_served(request, run), answer)

    async def _stream(self, codec: TaskCodec, message: Any, call: Call) -> None:
        """Answer a task's message by events as they come."""
        request = _request(codec.decode(message), message, call)
        run = polyglot.run(self._service, request)
        call.traceparent = run.traceparent
        async with run:
            first = await anext(run)
            await call.begin(run.model)
            await call.write(start(_served(request, run)))
            call.emitted = first.tokens if type(first) is Delta else 0
            await call.write(event(first))
            async for one in run:
                if type(one) is Delta:
                    call.emitted += one.tokens
                elif type(one) is Usage:
                    call.used(one)
                await call.write(event(one))


def _request(payload: Payload, message: Any, call: Call) -> Request:
    """Return what is asked; every task's message has these fields."""
    own = Wishes(priority(message.priority), constraints(message.constraints))
    return call.request(payload, message.model, own)


def _served(request: Request, run: Run | Polyglot) -> Served:
    texts = len(request.payload.texts) if isinstance(request.payload, Translate) else 0
    spoken = tuple(run.spoken(index) for index in range(texts))
    return Served(request.id, run.model, run.notes, spoken, request.payload, run.cached)
