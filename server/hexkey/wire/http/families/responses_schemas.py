"""JSON of OpenAI's responses, as far as hexkey serves them."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from hexkey.wire.http.openai_schemas import ContentPart, ResponseFormat
from hexkey.wire.http.schemas import MODEL, CostDetails, MaxTokens, Temperature, TopP

_NOT_SERVED = Meta(description="Not served.")


class InputItem(Struct):
    """One turn of a conversation; only messages are taken."""

    role: str = ""
    content: str | list[ContentPart] = ""
    type: str = "message"


class TextConfig(Struct):
    """Only plain text is served."""

    format: ResponseFormat | None = None


class ResponsesBody(Struct, kw_only=True):
    """Asks for an answer to ``input``."""

    input: str | list[InputItem]
    model: Annotated[str | None, MODEL] = None
    instructions: str | None = None
    max_output_tokens: MaxTokens = None
    temperature: Temperature = None
    top_p: TopP = None
    stream: bool | None = None
    text: TextConfig | None = None
    tools: Annotated[list[Raw] | None, _NOT_SERVED] = None
    previous_response_id: Annotated[str | None, _NOT_SERVED] = None
    conversation: Annotated[str | dict[str, Raw] | None, _NOT_SERVED] = None
    background: Annotated[bool | None, _NOT_SERVED] = None
    prompt: Annotated[dict[str, Raw] | None, _NOT_SERVED] = None


class OutputText(Struct, kw_only=True):
    """The text of a message."""

    type: str = "output_text"
    text: str
    annotations: list[str] = []
    logprobs: list[str] = []


class OutputMessage(Struct, kw_only=True):
    """What was said."""

    type: str = "message"
    id: str
    status: str
    role: str = "assistant"
    content: list[OutputText]


class InputDetails(Struct):
    """Of the input's tokens, those that a cache saved computing."""

    cached_tokens: int
    cache_write_tokens: int = 0


class OutputDetails(Struct):
    """There is no reasoning."""

    reasoning_tokens: int = 0


class ResponseUsage(Struct):
    """What a response took, in tokens; its cost if exposed."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int
    cost: float | UnsetType = UNSET
    cost_details: CostDetails | UnsetType = UNSET


class IncompleteDetails(Struct):
    """Why a response is not complete."""

    reason: str


class Response(Struct, kw_only=True):
    """The response, complete or on its way."""

    id: str
    object: str = "response"
    created_at: int
    status: str
    error: None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None
    max_output_tokens: int
    model: str
    output: list[OutputMessage]
    parallel_tool_calls: bool = False
    previous_response_id: None = None
    store: bool = False
    temperature: float
    tool_choice: str = "none"
    tools: list[str] = []
    top_p: float
    truncation: str = "disabled"
    metadata: dict[str, str] = {}
    usage: ResponseUsage | None = None


class ResponseEvent(Struct, kw_only=True):
    """One event of a stream; its type tells which of the fields are there."""

    type: str
    sequence_number: int
    response: Response | UnsetType = UNSET
    item: OutputMessage | UnsetType = UNSET
    part: OutputText | UnsetType = UNSET
    item_id: str | UnsetType = UNSET
    output_index: int | UnsetType = UNSET
    content_index: int | UnsetType = UNSET
    delta: str | UnsetType = UNSET
    text: str | UnsetType = UNSET
    logprobs: list[str] | UnsetType = UNSET
