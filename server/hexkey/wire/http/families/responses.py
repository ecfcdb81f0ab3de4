"""OpenAI's ``POST /v1/responses``, as far as a chat goes: nothing is stored, no tools are called.

Source: OpenAI's API reference and the types of the ``openai`` client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hexkey.errors import invalid
from hexkey.types import Chat, FinishReason, Message, Sampling
from hexkey.wire.http import codec, openai_common
from hexkey.wire.http.families.responses_schemas import (
    IncompleteDetails,
    InputDetails,
    InputItem,
    OutputDetails,
    OutputMessage,
    OutputText,
    Response,
    ResponseEvent,
    ResponsesBody,
    ResponseUsage,
)
from hexkey.wire.http.families.single import SingleEncoder, serve
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.stream import NAMED

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.types import Usage
    from hexkey.wire.http.exchange import Exchange

MAX_TOKENS = 512
_DEFAULT = Sampling()
_NAMES = {"messages": "input", "max_tokens": "max_output_tokens"}
_STATUS = {FinishReason.STOP: "completed", FinishReason.LENGTH: "incomplete"}
_TEXT_PARTS = frozenset({"input_text", "output_text", "text"})
_BODY = msgspec.json.Decoder(ResponsesBody)
_encode = msgspec.json.encode


async def responses(exchange: Exchange, service: Service) -> None:
    """Answer an input, as OpenAI's newer API does."""
    body = codec.decode(_BODY, exchange.body)
    payload = _payload(body)
    run = service.run(exchange.request(payload, body.model))
    encoder = ResponseEncoder(exchange, payload.sampling, body.instructions)
    await serve(exchange, run, encoder, _NAMES, NAMED if body.stream else None)


class ResponseEncoder(SingleEncoder):
    """Writes the response or the events by which it grows: one message with one text."""

    __slots__ = ("_created", "_instructions", "_item_id", "_number", "_parts", "_sampling")

    def __init__(self, exchange: Exchange, sampling: Sampling, instructions: str | None) -> None:
        super().__init__(exchange)
        self._sampling = sampling
        self._instructions = instructions
        self._created = openai_common.now()
        self._item_id = f"msg_{exchange.id}"
        self._number = 0
        self._parts: list[str] = []

    def start(self, model: str, notes: tuple[str, ...]) -> bytes:
        """Write that the response and its one message and text have begun."""
        super().start(model, notes)
        begun = self._response("in_progress", [])
        item = OutputMessage(id=self._item_id, status="in_progress", content=[])
        return (
            self._event("response.created", response=begun)
            + self._event("response.in_progress", response=begun)
            + self._event("response.output_item.added", output_index=0, item=item)
            + self._of_text("response.content_part.added", part=OutputText(text=""))
        )

    def piece(self, text: str) -> bytes:
        """Write more text."""
        self._parts.append(text)
        return self._of_text("response.output_text.delta", delta=text, logprobs=[])

    def end(self, event: Usage) -> bytes:
        """Write that the text, the message and the response are complete, each with its whole."""
        text = "".join(self._parts)
        whole = self.whole(text, event)
        (item,) = whole.output
        (part,) = item.content
        return (
            self._of_text("response.output_text.done", text=text, logprobs=[])
            + self._of_text("response.content_part.done", part=part)
            + self._event("response.output_item.done", output_index=0, item=item)
            + self._event(f"response.{whole.status}", response=whole)
        )

    def whole(self, text: str, usage: Usage) -> Response:
        """Return the response."""
        status = _STATUS[self.reason]
        message = OutputMessage(id=self._item_id, status=status, content=[OutputText(text=text)])
        response = self._response(status, [message])
        if self.reason is FinishReason.LENGTH:
            response.incomplete_details = IncompleteDetails("max_output_tokens")
        response.usage = ResponseUsage(
            usage.input_tokens,
            InputDetails(usage.cached_tokens),
            usage.output_tokens,
            OutputDetails(),
            usage.input_tokens + usage.output_tokens,
            *codec.cost(usage.cost),
        )
        return response

    def _response(self, status: str, output: list[OutputMessage]) -> Response:
        return Response(
            id=f"resp_{self.exchange.id}",
            created_at=self._created,
            status=status,
            instructions=self._instructions,
            max_output_tokens=self._sampling.max_tokens,
            model=self.model,
            output=output,
            temperature=self._sampling.temperature,
            top_p=self._sampling.top_p,
        )

    def _of_text(self, kind: str, **fields: Any) -> bytes:
        return self._event(kind, item_id=self._item_id, output_index=0, content_index=0, **fields)

    def _event(self, kind: str, **fields: Any) -> bytes:
        event = ResponseEvent(type=kind, sequence_number=self._number, **fields)
        self._number += 1
        return NAMED.frame(_encode(event), kind)


def _payload(body: ResponsesBody) -> Chat:
    codec.refuse(body, "tools", "previous_response_id", "conversation", "background", "prompt")
    if body.text and body.text.format and body.text.format.type != "text":
        raise invalid("only the format {'type': 'text'} is supported", "text.format.type")
    items = [InputItem("user", body.input)] if isinstance(body.input, str) else body.input
    messages = [Message("system", body.instructions)] if body.instructions else []
    for index, item in enumerate(items):
        if item.type != "message":
            raise invalid("only items of type message are supported", f"input[{index}].type")
        text = openai_common.text(item.content, _TEXT_PARTS, f"input[{index}].content")
        messages.append(Message(openai_common.role(item.role, f"input[{index}].role"), text))
    return Chat(
        messages=tuple(messages),
        sampling=Sampling(
            max_tokens=MAX_TOKENS if body.max_output_tokens is None else body.max_output_tokens,
            temperature=openai_common.TEMPERATURE if body.temperature is None else body.temperature,
            top_p=_DEFAULT.top_p if body.top_p is None else body.top_p,
        ),
    )


OPERATIONS = (
    Operation(
        "POST", "/v1/responses", responses, Response, ResponsesBody, ResponseEvent, framing=NAMED
    ),
)
