"""Anthropic's ``POST /v1/messages`` and ``/v1/messages/count_tokens``: chats of text.

Source: Anthropic's API reference and the types of the ``anthropic`` client. ``input_tokens`` there
leaves out what a cache saved; a stream can tell its usage only at its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from hexkey.errors import Code, ServeError, invalid
from hexkey.types import Chat, FinishReason, Message, Sampling, Usage
from hexkey.wire.http import codec, openai_common
from hexkey.wire.http.errors import STATUSES, Dialect
from hexkey.wire.http.families.anthropic_schemas import (
    AnthropicAnswer,
    AnthropicError,
    AnthropicErrorDetail,
    AnthropicEvent,
    AnthropicUsage,
    CountBody,
    MessagesBody,
    StopDelta,
    TextBlock,
    TokenCount,
)
from hexkey.wire.http.families.single import SingleEncoder, serve
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.runs import collect, served_by
from hexkey.wire.http.stream import NAMED

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange

_DEFAULT = Sampling()
_NAMES = {"stop": "stop_sequences"}
_REASONS = {FinishReason.STOP: "end_turn", FinishReason.LENGTH: "max_tokens"}
_TYPES = {
    Code.UNAUTHENTICATED: "authentication_error",
    Code.PERMISSION_DENIED: "permission_error",
    Code.NOT_FOUND: "not_found_error",
    Code.TOO_LARGE: "request_too_large",
    Code.DEADLINE_EXCEEDED: "timeout_error",
    Code.RESOURCE_EXHAUSTED: "rate_limit_error",
    Code.UNAVAILABLE: "overloaded_error",
    Code.INTERNAL: "api_error",
}
_TEXT = frozenset({"text"})


def _tell(error: ServeError, _status: int) -> AnthropicError:
    kind = _TYPES.get(error.code, "invalid_request_error")
    return AnthropicError(AnthropicErrorDetail(kind, error.message, error.tokens_emitted))


DIALECT = Dialect("AnthropicError", STATUSES, AnthropicError, _tell)
_BODY = msgspec.json.Decoder(MessagesBody)
_COUNT = msgspec.json.Decoder(CountBody)
_encode = msgspec.json.encode


async def anthropic_messages(exchange: Exchange, service: Service) -> None:
    """Answer the last message of a conversation, as Anthropic does."""
    body = codec.decode(_BODY, exchange.body)
    payload = Chat(
        messages=_messages(body),
        sampling=Sampling(
            max_tokens=body.max_tokens,
            temperature=openai_common.TEMPERATURE if body.temperature is None else body.temperature,
            top_p=_DEFAULT.top_p if body.top_p is None else body.top_p,
            top_k=body.top_k or 0,
            stop=tuple(body.stop_sequences or ()),
        ),
    )
    run = service.run(exchange.request(payload, body.model))
    await serve(exchange, run, MessageEncoder(exchange), _NAMES, NAMED if body.stream else None)


async def anthropic_count(exchange: Exchange, service: Service) -> None:
    """Count the tokens of a conversation. The model itself does it, and generates one token."""
    body = codec.decode(_COUNT, exchange.body)
    payload = Chat(messages=_messages(body), sampling=Sampling(max_tokens=1))
    run = service.run(exchange.request(payload, body.model))
    _, usage = await collect(exchange, run)
    await exchange.json(TokenCount(usage.input_tokens), served_by(exchange, run.model, usage.cost))


class MessageEncoder(SingleEncoder):
    """Writes the answer or the events by which it grows: one block of text."""

    __slots__ = ()

    def start(self, model: str, notes: tuple[str, ...]) -> bytes:
        """Write that the message and its one block have begun."""
        super().start(model, notes)
        return _event(
            AnthropicEvent(type="message_start", message=self._answer([], AnthropicUsage()))
        ) + _event(AnthropicEvent(type="content_block_start", index=0, content_block=TextBlock()))

    def piece(self, text: str) -> bytes:
        """Write more text."""
        delta = Raw(_encode(TextBlock(type="text_delta", text=text)))
        return _event(AnthropicEvent(type="content_block_delta", index=0, delta=delta))

    def end(self, event: Usage) -> bytes:
        """Write why it ended and what it took."""
        delta = Raw(_encode(StopDelta(self._why(), self.stop or None)))
        return (
            _event(AnthropicEvent(type="content_block_stop", index=0))
            + _event(AnthropicEvent(type="message_delta", delta=delta, usage=_usage(event)))
            + _event(AnthropicEvent(type="message_stop"))
        )

    def whole(self, text: str, usage: Usage) -> AnthropicAnswer:
        """Return the answer."""
        answer = self._answer([TextBlock(text=text)], _usage(usage))
        answer.stop_reason, answer.stop_sequence = self._why(), self.stop or None
        return answer

    def _why(self) -> str:
        return "stop_sequence" if self.stop else _REASONS[self.reason]

    def _answer(self, content: list[TextBlock], usage: AnthropicUsage) -> AnthropicAnswer:
        name = f"msg_{self.exchange.id}"
        return AnthropicAnswer(id=name, model=self.model, content=content, usage=usage)


def _event(event: AnthropicEvent) -> bytes:
    return NAMED.frame(_encode(event), event.type)


def _usage(usage: Usage) -> AnthropicUsage:
    return AnthropicUsage(
        input_tokens=usage.input_tokens - usage.cached_tokens,
        output_tokens=usage.output_tokens,
        cache_read_input_tokens=usage.cached_tokens,
    )


def _messages(body: CountBody) -> tuple[Message, ...]:
    codec.refuse(body, "tools")
    if body.thinking and body.thinking.type != "disabled":
        raise invalid("thinking is not supported", "thinking")
    system = openai_common.text(body.system, _TEXT, "system")
    messages = [Message("system", system)] if system else []
    for index, one in enumerate(body.messages):
        text = openai_common.text(one.content, _TEXT, f"messages[{index}].content")
        messages.append(Message(openai_common.role(one.role, f"messages[{index}].role"), text))
    return tuple(messages)


OPERATIONS = (
    Operation(
        "POST", "/v1/messages", anthropic_messages,
        AnthropicAnswer, MessagesBody, AnthropicEvent, dialect=DIALECT, framing=NAMED,
    ),
    Operation(
        "POST", "/v1/messages/count_tokens", anthropic_count,
        TokenCount, CountBody, dialect=DIALECT,
    ),
)  # fmt: skip
