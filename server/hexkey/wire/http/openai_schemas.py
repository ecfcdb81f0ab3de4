"""JSON of OpenAI's completions and chat completions, as far as hexkey serves them.

Fields that are known and not served are named here too, so that asking for them is refused and
not silently ignored; unknown ones are ignored. Source: the ``openai`` client's own types.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from hexkey.types import FinishReason
from hexkey.validation import MAX_TOKENS, ROLES
from hexkey.wire.http.families.tabby import TabbySegments  # noqa: TC001 - msgspec needs it
from hexkey.wire.http.schemas import MODEL, CostDetails, SamplingFields, TimingAnswer, bounded

MAX_TOKEN_ID = (1 << 31) - 1
TokenId = Annotated[int, Meta(ge=0, le=MAX_TOKEN_ID)]
Prompt = str | list[str | TokenId | list[TokenId]]


class StreamOptions(Struct):
    """``include_usage`` asks for a last chunk with the usage."""

    include_usage: bool | None = None


class OpenAIFields(SamplingFields, kw_only=True):
    """What both kinds of completion take."""

    model: Annotated[str | None, MODEL] = None
    max_tokens: Annotated[
        int | None, bounded(-1, MAX_TOKENS, "Most tokens to generate; -1 takes all that fit.")
    ] = None
    min_tokens: Annotated[
        int | None, bounded(0, MAX_TOKENS, "vLLM's: before so many the model does not end.")
    ] = None
    ignore_eos: Annotated[
        bool | None, Meta(description="vLLM's: the model does not end before max_tokens.")
    ] = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logit_bias: Annotated[dict[str, float] | None, Meta(description="Not served.")] = None


class CompletionBody(OpenAIFields, kw_only=True):
    """Asks to continue a prompt, or several."""

    prompt: Annotated[
        Prompt | None,
        Meta(description="Text, token ids, or a list of either; one kind within a list."),
    ] = None
    suffix: str | None = None
    echo: bool | None = None
    logprobs: Annotated[int | None, Meta(description="0 or 1.")] = None
    best_of: int | None = None
    language: Annotated[str | None, Meta(description="Of segments; such as python.")] = None
    segments: Annotated[
        TabbySegments | None, Meta(description="Tabby's; takes the place of the prompt.")
    ] = None


class ContentPart(Struct):
    """A piece of a message; only text is served."""

    type: str
    text: str | None = None


class MessageBody(Struct):
    """One turn of a conversation."""

    role: Annotated[str, Meta(extra_json_schema={"enum": [*ROLES, "developer"]})]
    content: str | list[ContentPart] | None = None


class NamedSchema(Struct):
    """A JSON Schema; its name tells nothing to the model."""

    name: str | None = None
    schema: Annotated[dict[str, Any] | None, Meta(description="A JSON Schema.")] = None


class ResponseFormat(Struct):
    """What an answer is to look like: ``text``, ``json_object``, or what fits ``json_schema``."""

    type: str = "text"
    json_schema: NamedSchema | None = None


class ChatBody(OpenAIFields, kw_only=True):
    """Asks for an answer to the last message."""

    messages: list[MessageBody]
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int | None, Meta(description="0 or 1.")] = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Raw] | None, Meta(description="Not served.")] = None
    functions: Annotated[list[Raw] | None, Meta(description="Not served.")] = None


class PromptDetails(Struct):
    """Of the prompt's tokens, those that a cache saved computing."""

    cached_tokens: int


class CompletionUsage(Struct):
    """What a request took, in tokens; cost and timing for callers who may see them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    cost: float | UnsetType = UNSET
    cost_details: CostDetails | UnsetType = UNSET
    timing: TimingAnswer | UnsetType = UNSET


class CompletionLogprobs(Struct):
    """Log-probabilities of a completion's tokens; ``text_offset`` in characters."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int]


class CompletionChoice(Struct):
    """One completion, or a piece of it."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: FinishReason | None


class Completion(Struct, kw_only=True):
    """The answer, and each chunk of its stream."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: CompletionUsage | UnsetType = UNSET


class ChatLogprob(Struct):
    """One token; ``bytes`` is exact where ``token`` is a part of a character."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class TopLogprob(Struct):
    """A token that was likely in a place."""

    token: str
    logprob: float
    bytes: list[int]


class ChatLogprobs(Struct):
    """Log-probabilities of an answer's tokens."""

    content: list[ChatLogprob]


class AnswerMessage(Struct):
    """The answer."""

    content: str
    role: Literal["assistant"] = "assistant"
    refusal: None = None


class ChatChoice(Struct):
    """One answer."""

    index: int
    message: AnswerMessage
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason


class ChatCompletion(Struct, kw_only=True):
    """The answers of one request."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: CompletionUsage


class MessageDelta(Struct):
    """A piece of an answer; ``role`` comes with the first."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET


class ChatChunkChoice(Struct):
    """A piece of one answer."""

    index: int
    delta: MessageDelta
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason | None


class ChatChunk(Struct, kw_only=True):
    """One chunk of a stream; the one with ``usage``, if asked for, is last and has no choices."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChatChunkChoice]
    usage: CompletionUsage | UnsetType = UNSET


class ModelPair(Struct):
    """A direction that a model translates."""

    source: str
    target: str


class ModelCapabilities(Struct):
    """What a model can do, in Mistral's words."""

    completion_chat: bool
    completion_fim: bool
    function_calling: bool = False
    vision: bool = False


class ModelMeta(Struct):
    """llama.cpp's: the window, in tokens."""

    n_ctx: int


class Model(Struct, kw_only=True):
    """A configured model: OpenAI's four fields, then ours, Mistral's, vLLM's and llama.cpp's."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "hexkey"
    tasks: list[str]
    pairs: list[ModelPair]
    state: str
    context_tokens: int
    fim: bool
    notes: tuple[str, ...]
    failing: bool
    type: Literal["base"] = "base"
    capabilities: ModelCapabilities
    max_model_len: int
    meta: ModelMeta | UnsetType = UNSET


class ModelList(Struct, kw_only=True):
    """All models, in the order in which the router looks at them."""

    object: Literal["list"] = "list"
    data: list[Model]
