"""The methods of ``hexkey.v1.InferenceService``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import grpc

from hexkey.types import Usage
from hexkey.v1 import inference_pb2 as pb
from hexkey.wire.grpc import call, codec
from hexkey.wire.grpc.answer import gather

if TYPE_CHECKING:
    from hexkey.service import Run, Service
    from hexkey.types import Payload, Request
    from hexkey.wire.grpc.answer import Answer
    from hexkey.wire.grpc.call import Call, Methods

NAME = "hexkey.v1.InferenceService"


class InferenceServicer:
    """Answers calls from the one ``Service``; errors leave as ``ServeError``."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def handler(self) -> Methods:
        """Return the service as grpc registers it; every method needs to know who calls."""
        unary = partial(call.unary, identify=self._identify)
        stream = partial(call.stream, identify=self._identify)
        return grpc.method_handlers_generic_handler(
            NAME,
            {
                "Autocomplete": unary(pb.AutocompleteRequest.FromString, self.autocomplete),
                "StreamAutocomplete": stream(
                    pb.AutocompleteRequest.FromString, self.stream_autocomplete
                ),
                "Translate": unary(pb.TranslateRequest.FromString, self.translate),
                "StreamTranslate": stream(pb.TranslateRequest.FromString, self.stream_translate),
                "Chat": unary(pb.ChatRequest.FromString, self.chat),
                "StreamChat": stream(pb.ChatRequest.FromString, self.stream_chat),
                "ListModels": unary(pb.ListModelsRequest.FromString, self.list_models),
                "ExplainRoute": unary(pb.ExplainRouteRequest.FromString, self.explain_route),
            },
        )

    async def autocomplete(
        self, message: pb.AutocompleteRequest, call: Call
    ) -> pb.AutocompleteResponse:
        """Continue a text."""
        served, answer = await self._whole(codec.autocomplete(message), message.model, call)
        return codec.autocomplete_response(served, answer)

    async def stream_autocomplete(self, message: pb.AutocompleteRequest, call: Call) -> None:
        """Continue a text, as it is generated."""
        await self._stream(codec.autocomplete(message), message.model, call)

    async def translate(self, message: pb.TranslateRequest, call: Call) -> pb.TranslateResponse:
        """Translate texts."""
        served, answer = await self._whole(codec.translate(message), message.model, call)
        return codec.translate_response(served, answer)

    async def stream_translate(self, message: pb.TranslateRequest, call: Call) -> None:
        """Translate texts, as it is generated."""
        await self._stream(codec.translate(message), message.model, call)

    async def chat(self, message: pb.ChatRequest, call: Call) -> pb.ChatResponse:
        """Answer a conversation."""
        served, answer = await self._whole(codec.chat(message), message.model, call)
        return codec.chat_response(served, answer)

    async def stream_chat(self, message: pb.ChatRequest, call: Call) -> None:
        """Answer a conversation, as it is generated."""
        await self._stream(codec.chat(message), message.model, call)

    async def list_models(
        self, _message: pb.ListModelsRequest, _call: Call
    ) -> pb.ListModelsResponse:
        """List the configured models."""
        pool = self._service.pool
        states = pool.states()
        models = (codec.model(one, states[one.name], pool.info(one.name)) for one in pool.catalog)
        return pb.ListModelsResponse(models=models)

    async def explain_route(
        self, message: pb.ExplainRouteRequest, call: Call
    ) -> pb.ExplainRouteResponse:
        """Tell how a request would be routed."""
        payload, model = codec.explain(message)
        plan = self._service.explain(call.request(payload, model))
        return codec.explanation(plan)

    def _identify(self, call: Call) -> None:
        call.caller = self._service.access.identify(call.credential())

    async def _whole(self, payload: Payload, model: str, call: Call) -> tuple[codec.Served, Answer]:
        request = call.request(payload, model)
        run = self._service.run(request)
        run.whole()
        async with run:
            answer = await gather(run)
        call.charged(answer.usage.cost)
        await call.begin(run.model)
        return _served(request, run), answer

    async def _stream(self, payload: Payload, model: str, call: Call) -> None:
        request = call.request(payload, model)
        async with self._service.run(request) as run:
            first = await anext(run)
            await call.begin(run.model)
            await call.write(codec.start(_served(request, run)))
            await call.write(codec.event(first))
            async for event in run:
                if type(event) is Usage:
                    call.charged(event.cost)
                await call.write(codec.event(event))


def _served(request: Request, run: Run) -> codec.Served:
    return codec.Served(request.id, run.model, run.notes, run.pair)
