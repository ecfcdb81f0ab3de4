"""Mistral's ``POST /v1/fim/completions``: text between a prompt and a suffix.

Source: Mistral's API reference and the types of the ``mistralai`` client. The answers are those of
a chat, though nobody chats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import UNSET, Meta, Struct

from hexkey.types import Autocomplete, Sampling
from hexkey.wire.http import codec, openai_common
from hexkey.wire.http.errors import STATUSES, TABLE, Dialect, TokensEmitted
from hexkey.wire.http.families.single import SingleEncoder, serve
from hexkey.wire.http.openai_schemas import (
    AnswerMessage,
    ChatChoice,
    ChatChunk,
    ChatChunkChoice,
    ChatCompletion,
    MessageDelta,
)
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.schemas import MODEL, MaxTokens, Seed, Stop, Temperature, TopP
from hexkey.wire.http.stream import DONE, SSE

if TYPE_CHECKING:
    from hexkey.errors import ServeError
    from hexkey.service import Service
    from hexkey.types import FinishReason, Usage
    from hexkey.wire.http.exchange import Exchange

_DEFAULT = Sampling()
_NAMES = {"prefix": "prompt", "seed": "random_seed"}


class FimBody(Struct):
    """Asks for the text between ``prompt`` and ``suffix``."""

    prompt: Annotated[str, Meta(description="Text before the cursor.")]
    model: Annotated[str | None, MODEL] = None
    suffix: Annotated[str | None, Meta(description="Text after the cursor.")] = None
    max_tokens: MaxTokens = None
    temperature: Temperature = None
    top_p: TopP = None
    random_seed: Seed = None
    stop: Stop = None
    stream: bool | None = None


class MistralError(Struct):
    """Body of every answer that is an error."""

    message: str
    type: str
    param: str | None
    code: str
    tokens_emitted: TokensEmitted = UNSET
    object: str = "error"


def _tell(error: ServeError, _status: int) -> MistralError:
    kind, reason = TABLE[error.code].type, error.reason.lower()
    return MistralError(error.message, kind, error.param, reason, error.tokens_emitted)


DIALECT = Dialect("MistralError", STATUSES, MistralError, _tell)
_BODY = msgspec.json.Decoder(FimBody)
_encode = msgspec.json.encode


async def fim_completions(exchange: Exchange, service: Service) -> None:
    """Fill the gap between a prompt and a suffix, as Mistral does."""
    body = codec.decode(_BODY, exchange.body)
    run = service.run(exchange.request(_payload(body), body.model))
    await serve(exchange, run, FimEncoder(exchange), _NAMES, SSE if body.stream else None)


class FimEncoder(SingleEncoder):
    """Writes the answer, or its chunks, of which the last has the reason and the usage."""

    __slots__ = ()

    def piece(self, text: str) -> bytes:
        """Write more text."""
        return SSE.frame(_encode(self._chunk(text, None)))

    def end(self, event: Usage) -> bytes:
        """Write why it ended and what it took."""
        chunk = self._chunk("", self.reason)
        chunk.usage = openai_common.usage(event)
        return SSE.frame(_encode(chunk)) + DONE

    def whole(self, text: str, usage: Usage) -> ChatCompletion:
        """Return the answer."""
        return ChatCompletion(
            id=self.exchange.id,
            created=openai_common.now(),
            model=self.model,
            choices=[ChatChoice(0, AnswerMessage(text), None, self.reason)],
            usage=openai_common.usage(usage),
        )

    def _chunk(self, text: str, reason: FinishReason | None) -> ChatChunk:
        delta = MessageDelta(role="assistant", content=text)
        return ChatChunk(
            id=self.exchange.id,
            created=openai_common.now(),
            model=self.model,
            choices=[ChatChunkChoice(0, delta, None, reason)],
        )


def _payload(body: FimBody) -> Autocomplete:
    return Autocomplete(
        prefix=body.prompt,
        suffix=body.suffix or "",
        sampling=Sampling(
            max_tokens=_DEFAULT.max_tokens if body.max_tokens is None else body.max_tokens,
            temperature=body.temperature or 0.0,
            top_p=_DEFAULT.top_p if body.top_p is None else body.top_p,
            seed=body.random_seed,
            stop=codec.stops(body.stop),
        ),
    )


OPERATIONS = (
    Operation(
        "POST", "/v1/fim/completions", fim_completions,
        ChatCompletion, FimBody, ChatChunk, dialect=DIALECT,
    ),
)  # fmt: skip
