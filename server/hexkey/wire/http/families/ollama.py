"""Ollama's ``/api/generate`` and ``/api/chat``.

Source: Ollama's API reference and the types of the ``ollama`` client. Streams are JSON line by line
and the default. A prompt without suffix and not ``raw`` is put into the chat's form, if the model
has one, as Ollama's templates do. Sampling is greedy unless a temperature is given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from hexkey.errors import Code, ServeError
from hexkey.identity.keyring import ensure_any_task
from hexkey.types import Autocomplete, Chat, Message, Sampling, Task
from hexkey.wire.http import codec, models
from hexkey.wire.http.errors import STATUSES, Dialect
from hexkey.wire.http.families.ollama_schemas import (
    OllamaAnswer,
    OllamaChatAnswer,
    OllamaChatBody,
    OllamaError,
    OllamaGenerateAnswer,
    OllamaGenerateBody,
    OllamaMessage,
    OllamaOptions,
)
from hexkey.wire.http.families.single import SingleEncoder, serve
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.presence import Presence
from hexkey.wire.http.stream import NDJSON

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.types import Payload, Usage
    from hexkey.wire.http.exchange import Exchange
    from hexkey.wire.http.families.ollama_schemas import OllamaFields

Make = Callable[[str, str], OllamaAnswer]
_DEFAULT = Sampling()
_NAMES = {"prefix": "prompt", "max_tokens": "options.num_predict"}
_AT_ONCE = frozenset({0, "0", "0s", "0m", "0h"})
_encode = msgspec.json.encode


def _tell(error: ServeError, _status: int) -> OllamaError:
    return OllamaError(error.message, error.tokens_emitted)


DIALECT = Dialect("OllamaError", STATUSES, OllamaError, _tell)
_GENERATE = msgspec.json.Decoder(OllamaGenerateBody)
_CHAT = msgspec.json.Decoder(OllamaChatBody)


async def ollama_generate(exchange: Exchange, service: Service) -> None:
    """Continue a prompt or fill the gap before a suffix, as Ollama does."""
    body = codec.decode(_GENERATE, exchange.body)
    codec.refuse(body, "format", "think", "logprobs", "images", "template", "context")
    model = plain_name(body.model)
    prompt, suffix = body.prompt or "", body.suffix or ""
    if not prompt and not suffix:
        await _hold(exchange, service, body, _generated)
        return
    if body.raw or suffix or not _chats(service, model):
        payload: Payload = Autocomplete(prefix=prompt, suffix=suffix, sampling=_sampling(body))
    else:
        system = (Message("system", body.system),) if body.system else ()
        payload = Chat(messages=(*system, Message("user", prompt)), sampling=_sampling(body))
    await _answer(exchange, service, body, payload, _generated)


async def ollama_chat(exchange: Exchange, service: Service) -> None:
    """Answer the last message of a conversation, as Ollama does."""
    body = codec.decode(_CHAT, exchange.body)
    codec.refuse(body, "format", "think", "logprobs", "tools")
    if not body.messages:
        await _hold(exchange, service, body, _said)
        return
    for one in body.messages:
        codec.refuse(one, "images")
    messages = tuple(Message(one.role, one.content) for one in body.messages)
    await _answer(exchange, service, body, Chat(messages=messages, sampling=_sampling(body)), _said)


class OllamaEncoder(SingleEncoder):
    """Writes the answer or its lines; the last line is an answer without text."""

    __slots__ = ("_make",)

    def __init__(self, exchange: Exchange, make: Make) -> None:
        super().__init__(exchange)
        self._make = make

    def piece(self, text: str) -> bytes:
        """Write more text."""
        return NDJSON.frame(_encode(self._make(self.model, text)))

    def end(self, event: Usage) -> bytes:
        """Write the last line."""
        return NDJSON.frame(_encode(self.whole("", event)))

    def whole(self, text: str, usage: Usage) -> OllamaAnswer:
        """Return the answer."""
        times = self.times()
        answer = self._make(self.model, text)
        answer.done = True
        answer.done_reason = self.reason.value
        answer.load_duration = 0
        answer.prompt_eval_count = usage.input_tokens
        answer.prompt_eval_duration = int(times.prompt_s * 1e9)
        answer.eval_count = usage.output_tokens
        answer.eval_duration = int(times.output_s * 1e9)
        answer.total_duration = answer.prompt_eval_duration + answer.eval_duration
        return answer


def plain_name(model: str) -> str:
    """Return a model's name without the tag that Ollama's clients put behind names."""
    return model.removesuffix(":latest")


async def _hold(exchange: Exchange, service: Service, body: OllamaFields, make: Make) -> None:
    """Have a model there for whoever asks for nothing else, if it is theirs to use.

    It counts as one of the tenant's requests, and loads what a request would. ``keep_alive`` 0 asks
    to unload it: the answer says so, and what is in memory stays the server's business.
    """
    found = models.find(service, exchange.caller, plain_name(body.model))
    ensure_any_task(exchange.caller, sorted(found.tasks))
    unload = body.keep_alive in _AT_ONCE
    if not unload:
        hold = service.access.reserve(exchange.caller.tenant, 0)
        try:
            await _load(exchange, service, found.name)
        finally:
            service.access.settle(hold, 0, 0)
    answer = make(found.name, "")
    answer.done, answer.done_reason = True, "unload" if unload else "load"
    await exchange.json(answer)


async def _load(exchange: Exchange, service: Service, name: str) -> None:
    try:
        async with Presence(exchange.line), asyncio.timeout_at(exchange.deadline()):
            await service.pool.attend(name)
    except TimeoutError:
        raise ServeError(
            Code.DEADLINE_EXCEEDED, f"model {name!r} was not loaded before the deadline"
        ) from None


async def _answer(
    exchange: Exchange, service: Service, body: OllamaFields, payload: Payload, make: Make
) -> None:
    run = service.run(exchange.request(payload, plain_name(body.model)))
    framing = None if body.stream is False else NDJSON
    await serve(exchange, run, OllamaEncoder(exchange, make), _NAMES, framing)


def _generated(model: str, text: str) -> OllamaAnswer:
    return OllamaGenerateAnswer(model=model, created_at=_now(), response=text)


def _said(model: str, text: str) -> OllamaAnswer:
    message = OllamaMessage("assistant", text)
    return OllamaChatAnswer(model=model, created_at=_now(), message=message)


def _chats(service: Service, model: str) -> bool:
    able = {one.name: Task.CHAT in one.tasks for one in service.pool.catalog}
    return able.get(model, model != Task.AUTOCOMPLETE and any(able.values()))


def _sampling(body: OllamaFields) -> Sampling:
    options = body.options or OllamaOptions()
    return Sampling(
        max_tokens=codec.limit(options.num_predict, _DEFAULT.max_tokens),
        temperature=options.temperature or 0.0,
        top_p=_DEFAULT.top_p if options.top_p is None else options.top_p,
        top_k=options.top_k or 0,
        seed=options.seed,
        stop=codec.stops(options.stop),
        presence_penalty=options.presence_penalty or 0.0,
        frequency_penalty=options.frequency_penalty or 0.0,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


OPERATIONS = (
    Operation(
        "POST", "/api/generate", ollama_generate,
        OllamaGenerateAnswer, OllamaGenerateBody, OllamaGenerateAnswer,
        dialect=DIALECT, framing=NDJSON,
    ),
    Operation(
        "POST", "/api/chat", ollama_chat,
        OllamaChatAnswer, OllamaChatBody, OllamaChatAnswer, dialect=DIALECT, framing=NDJSON,
    ),
)  # fmt: skip
