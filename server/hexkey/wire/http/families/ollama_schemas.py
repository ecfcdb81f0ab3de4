"""JSON of Ollama's API, as far as hexkey serves it. Durations are in nanoseconds."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from hexkey.wire.http.errors import TokensEmitted
from hexkey.wire.http.schemas import MODEL, Penalty, Seed, Stop, Temperature, TopK, TopP

_NOT_SERVED = Meta(description="Not served.")


class OllamaOptions(Struct):
    """How tokens are chosen; those for Ollama's own runner are ignored."""

    num_predict: Annotated[int | None, Meta(description="Below 0: no limit of its own.")] = None
    temperature: Temperature = None
    top_p: TopP = None
    top_k: TopK = None
    seed: Seed = None
    stop: Stop = None
    presence_penalty: Penalty = None
    frequency_penalty: Penalty = None


class OllamaFields(Struct, kw_only=True):
    """What both kinds of request take."""

    model: Annotated[str, MODEL]
    stream: Annotated[bool | None, Meta(description="True where left out.")] = None
    options: OllamaOptions | None = None
    keep_alive: Annotated[
        int | float | str | None, Meta(description="0 without a prompt: nothing is loaded.")
    ] = None
    format: Annotated[str | dict[str, Raw] | None, _NOT_SERVED] = None
    think: Annotated[bool | str | None, _NOT_SERVED] = None
    logprobs: Annotated[bool | None, _NOT_SERVED] = None


class OllamaGenerateBody(OllamaFields, kw_only=True):
    """Asks to continue ``prompt``; one that is empty only asks for the model to be there."""

    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    raw: bool | None = None
    template: Annotated[str | None, _NOT_SERVED] = None
    context: Annotated[list[int] | None, _NOT_SERVED] = None
    images: Annotated[list[Raw] | None, _NOT_SERVED] = None


class OllamaMessage(Struct):
    """One turn of a conversation."""

    role: str
    content: str = ""
    images: Annotated[list[Raw] | UnsetType | None, _NOT_SERVED] = UNSET


class OllamaChatBody(OllamaFields, kw_only=True):
    """Asks for an answer to the last message."""

    messages: list[OllamaMessage]
    tools: Annotated[list[Raw] | None, _NOT_SERVED] = None


class OllamaAnswer(Struct, kw_only=True):
    """What answers and lines have in common; after ``done`` only where it is true."""

    model: str
    created_at: str
    done: bool = False
    done_reason: str | UnsetType = UNSET
    total_duration: int | UnsetType = UNSET
    load_duration: int | UnsetType = UNSET
    prompt_eval_count: int | UnsetType = UNSET
    prompt_eval_duration: int | UnsetType = UNSET
    eval_count: int | UnsetType = UNSET
    eval_duration: int | UnsetType = UNSET


class OllamaGenerateAnswer(OllamaAnswer, kw_only=True):
    """The text, or a line of its stream."""

    response: str


class OllamaChatAnswer(OllamaAnswer, kw_only=True):
    """The answer, or a line of its stream."""

    message: OllamaMessage


class OllamaDetails(Struct):
    """What a model is; not told here."""

    format: str = ""
    family: str = ""
    families: list[str] | None = None
    parameter_size: str = ""
    quantization_level: str = ""


class OllamaModel(Struct):
    """A configured model; hexkey does not tell its size or digest."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: OllamaDetails


class OllamaTags(Struct):
    """All models that Ollama's clients could use."""

    models: list[OllamaModel]


class OllamaRunning(Struct):
    """A model in memory; none is ever unloaded for want of use."""

    name: str
    model: str
    size: int
    digest: str
    details: OllamaDetails
    expires_at: str
    size_vram: int
    context_length: int


class OllamaProcesses(Struct):
    """The models in memory."""

    models: list[OllamaRunning]


class OllamaShowBody(Struct):
    """Asks about one model."""

    model: str


class OllamaShow(Struct):
    """What one model can do."""

    modelfile: str
    parameters: str
    template: str
    modified_at: str
    details: OllamaDetails
    model_info: dict[str, str | int]
    capabilities: list[str]


class OllamaVersion(Struct):
    """The version of Ollama whose API is spoken."""

    version: str


class OllamaError(Struct):
    """Body of every answer that is an error."""

    error: str
    tokens_emitted: TokensEmitted = UNSET
