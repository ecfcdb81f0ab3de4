"""``POST /v1/chat/completions`` as OpenAI's clients expect it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hexkey.errors import ServeError, invalid
from hexkey.types import Chat, Delta, Finish, Message, Sampling, TokenLogprob, Usage
from hexkey.wire.http import codec, openai_common
from hexkey.wire.http.openai_schemas import (
    AnswerMessage,
    ChatBody,
    ChatChoice,
    ChatCompletion,
    ChatLogprob,
    ChatLogprobs,
    MessageBody,
    ResponseFormat,
    TopLogprob,
)
from hexkey.wire.http.runs import collect, served_by, stream
from hexkey.wire.http.stream import DONE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hexkey.service import Service
    from hexkey.types import Payload
    from hexkey.wire.http.exchange import Exchange

MAX_TOKENS = 512
_BODY = msgspec.json.Decoder(ChatBody)
_TEXT = frozenset({"text"})
_NAMES = {"json_schema": "response_format"}
_NEWER = {**_NAMES, "max_tokens": "max_completion_tokens"}
_encode = msgspec.json.encode


async def chat_completions(exchange: Exchange, service: Service) -> None:
    """Answer the last message of a conversation."""
    body = codec.decode(_BODY, exchange.body)
    payload = _payload(body)
    sampling, top = payload.sampling, bool(body.top_logprobs)
    run = service.run(exchange.request(payload, body.model))
    completion_id = f"chatcmpl-{exchange.id}"
    try:
        if body.stream:
            chunks = ChatChunks(
                completion_id, sampling, include_usage=openai_common.include_usage(body), top=top
            )
            await stream(exchange, run, chunks)
            return
        outputs, usage = await collect(exchange, run)
    except ServeError as error:
        names = _NAMES if body.max_completion_tokens is None else _NEWER
        raise codec.renamed(error, names) from None
    choices = [
        ChatChoice(
            index,
            AnswerMessage(output.text),
            _logprobs(output.logprobs, top=top) if sampling.logprobs else None,
            output.reason,
        )
        for index, output in enumerate(outputs)
    ]
    answer = ChatCompletion(
        id=completion_id,
        created=openai_common.now(),
        model=run.model,
        choices=choices,
        usage=openai_common.usage(usage),
    )
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


def payload_of(data: bytes) -> tuple[Payload, str | None]:
    """Return what core is asked for, and the model named."""
    body = codec.decode(_BODY, data)
    return _payload(body), body.model


class ChatChunks:
    """Writes the chunks of one stream. What is the same in all of them is encoded once."""

    __slots__ = ("_before", "_include_usage", "_sampling", "_top")

    def __init__(
        self, completion_id: str, sampling: Sampling, *, include_usage: bool, top: bool
    ) -> None:
        self._before = b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":' % (
            _encode(completion_id),
            openai_common.now(),
        )
        self._sampling = sampling
        self._include_usage = include_usage
        self._top = top

    def start(self, model: str, notes: tuple[str, ...]) -> bytes:  # noqa: ARG002 - no place for notes
        """Write each choice's role."""
        self._before += _encode(model) + b',"choices":['
        delta = b'{"role":"assistant","content":""}'
        return b"".join(self._chunk(index, delta) for index in range(self._sampling.n))

    def delta(self, event: Delta) -> bytes:
        """Write more text."""
        logprobs = b"null"
        if event.logprobs:
            logprobs = _encode(_logprobs(event.logprobs, top=self._top))
        return self._chunk(event.index, b'{"content":%b}' % _encode(event.text), logprobs)

    def finish(self, event: Finish) -> bytes:
        """Write why a choice ended."""
        return self._chunk(event.index, b"{}", reason=_encode(event.reason))

    def end(self, event: Usage) -> bytes:
        """Write the usage where it was asked for, and the end mark."""
        if not self._include_usage:
            return DONE
        usage = _encode(openai_common.usage(event))
        return self._before + b'],"usage":' + usage + b"}\n\n" + DONE

    def _chunk(
        self, index: int, delta: bytes, logprobs: bytes = b"null", reason: bytes = b"null"
    ) -> bytes:
        return b'%b{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":%b}]}\n\n' % (
            self._before,
            index,
            delta,
            logprobs,
            reason,
        )


def _payload(body: ChatBody) -> Chat:
    openai_common.check(body, "top_logprobs", body.top_logprobs)
    if body.tools or body.functions:
        param = "tools" if body.tools else "functions"
        raise invalid(f"{param} are not supported", param)
    if body.max_completion_tokens is not None:
        body.max_tokens = body.max_completion_tokens
    sampling = openai_common.sampling(body, MAX_TOKENS, logprobs=bool(body.logprobs))
    if body.response_format is not None:
        sampling = msgspec.structs.replace(sampling, json_schema=_schema(body.response_format))
    messages = tuple(_message(index, message) for index, message in enumerate(body.messages))
    return Chat(messages=messages, sampling=sampling)


def _schema(wanted: ResponseFormat) -> str:
    """Return the text of the JSON Schema that is asked for; empty where it is plain text."""
    if wanted.type == "text":
        return ""
    if wanted.type == "json_object":
        return '{"type": "object"}'
    if wanted.type != "json_schema":
        raise invalid("expected text, json_object or json_schema", "response_format.type")
    if wanted.json_schema is None or wanted.json_schema.schema is None:
        raise invalid("send the schema to fit", "response_format.json_schema.schema")
    return _encode(wanted.json_schema.schema).decode()


def _message(index: int, message: MessageBody) -> Message:
    text = openai_common.text(message.content, _TEXT, f"messages[{index}].content")
    return Message(openai_common.role(message.role, f"messages[{index}].role"), text)


def _logprobs(tokens: Iterable[TokenLogprob], *, top: bool) -> ChatLogprobs:
    content = []
    for token in tokens:
        text, exact = openai_common.token_text(token.token), list(token.token)
        likeliest = [TopLogprob(text, token.logprob, exact)] if top else []
        content.append(ChatLogprob(text, token.logprob, exact, likeliest))
    return ChatLogprobs(content)
