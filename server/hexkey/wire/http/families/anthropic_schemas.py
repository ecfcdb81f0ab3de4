"""JSON of Anthropic's messages, as far as hexkey serves them."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from hexkey.validation import MAX_TOKENS
from hexkey.wire.http.errors import TokensEmitted
from hexkey.wire.http.openai_schemas import ContentPart
from hexkey.wire.http.schemas import MODEL, Temperature, TopK, TopP, bounded

_NOT_SERVED = Meta(description="Not served.")


class AnthropicMessage(Struct):
    """One turn of a conversation; only text is served."""

    role: str
    content: str | list[ContentPart]


class AnthropicThinking(Struct):
    """Only ``disabled`` is served."""

    type: str


class CountBody(Struct, kw_only=True):
    """Asks how many tokens a conversation has."""

    model: Annotated[str, MODEL]
    messages: list[AnthropicMessage]
    system: str | list[ContentPart] | None = None
    thinking: AnthropicThinking | None = None
    tools: Annotated[list[Raw] | None, _NOT_SERVED] = None


class MessagesBody(CountBody, kw_only=True):
    """Asks for an answer to the last message."""

    max_tokens: Annotated[int, bounded(1, MAX_TOKENS, "Most tokens to generate.")]
    temperature: Temperature = None
    top_p: TopP = None
    top_k: TopK = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None


class AnthropicUsage(Struct):
    """What an answer took, in tokens."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0


class TextBlock(Struct, kw_only=True):
    """Text of an answer, or more of it."""

    type: str = "text"
    text: str = ""


class AnthropicAnswer(Struct, kw_only=True):
    """The answer, or its beginning."""

    id: str
    type: str = "message"
    role: str = "assistant"
    model: str
    content: list[TextBlock]
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: AnthropicUsage


class StopDelta(Struct):
    """Why an answer ended."""

    stop_reason: str
    stop_sequence: str | None = None


class AnthropicEvent(Struct, kw_only=True):
    """One event of a stream; its type tells which of the fields are there."""

    type: str
    message: AnthropicAnswer | UnsetType = UNSET
    index: int | UnsetType = UNSET
    content_block: TextBlock | UnsetType = UNSET
    delta: Raw | UnsetType = UNSET
    usage: AnthropicUsage | UnsetType = UNSET


class TokenCount(Struct):
    """The tokens of a conversation, as its model would see them."""

    input_tokens: int


class AnthropicErrorDetail(Struct):
    """What went wrong."""

    type: str
    message: str
    tokens_emitted: TokensEmitted = UNSET


class AnthropicError(Struct):
    """Body of every answer that is an error."""

    error: AnthropicErrorDetail
    type: str = "error"
