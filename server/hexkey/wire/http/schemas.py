"""JSON of hexkey's own API. The names are those of protos/hexkey/v1.

Unknown fields are ignored, and null means the same as leaving a field out. Bounds stand in the
OpenAPI document only: core checks them, for both wires, with better words.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from hexkey import validation
from hexkey.types import FinishReason, Format, Priority, StopRule, Task


def bounded(low: float, high: float, text: str) -> Meta:
    """Return what the OpenAPI document says of a number that core keeps within bounds."""
    return Meta(description=text, extra_json_schema={"minimum": low, "maximum": high})


MODEL = Meta(
    description="Name of a model, or of a task, or auto; the task decides by default.",
    examples=["auto"],
)
STREAM = Meta(description="Answer with server-sent events as the output is generated.")
PRIORITY = Meta(description="Who goes first where requests wait; normal by default.")
_SESSION = Meta(description="Names the typing session; one cursor has one session.")


MaxTokens = Annotated[
    int | None, bounded(1, validation.MAX_TOKENS, "Most tokens to generate per choice.")
]
Temperature = Annotated[
    float | None, bounded(0, validation.MAX_TEMPERATURE, "0 takes the most likely token.")
]
TopP = Annotated[
    float | None, bounded(0, 1, "Keep the likeliest tokens that together have this probability.")
]
TopK = Annotated[
    int | None, bounded(0, validation.MAX_TOKENS, "Keep this many tokens; 0 keeps all.")
]
Seed = Annotated[
    int | None, bounded(-validation.MAX_SEED, validation.MAX_SEED, "Makes sampling repeatable.")
]
Stop = Annotated[
    str | list[str] | None, Meta(description="Strings that end a choice, which leaves them out.")
]
Penalty = Annotated[
    float | None,
    bounded(
        -validation.MAX_PENALTY,
        validation.MAX_PENALTY,
        "Above 0, what occurred becomes less likely.",
    ),
]


class ConstraintsBody(Struct):
    """What the caller will not have: models that are expected to break it are not used."""

    max_cost: Annotated[
        float | str | None,
        Meta(description="In the server's currency; text is exact.", examples=["0.0001"]),
    ] = None
    max_latency_ms: Annotated[
        float | None, Meta(description="For the whole answer.", examples=[500])
    ] = None
    labels: Annotated[
        dict[str, str] | None,
        Meta(description="What a model must be labelled.", examples=[{"region": "eu"}]),
    ] = None


class TaskFields(Struct, kw_only=True):
    """What every task of hexkey's own API takes; see ``Generating`` for those that write text."""

    model: Annotated[str | None, MODEL] = None
    priority: Annotated[Priority | None, PRIORITY] = None
    constraints: ConstraintsBody | None = None


class SamplingFields(Struct):
    """How tokens are chosen; shared by every API that generates text."""

    max_tokens: MaxTokens = None
    temperature: Temperature = None
    top_p: TopP = None
    top_k: TopK = None
    seed: Seed = None
    stop: Stop = None
    n: Annotated[int | None, bounded(1, validation.MAX_N, "Number of choices.")] = None
    presence_penalty: Penalty = None
    frequency_penalty: Penalty = None


class Generating(SamplingFields, kw_only=True):
    """``TaskFields`` of what generates text; a struct has one base."""

    model: Annotated[str | None, MODEL] = None
    priority: Annotated[Priority | None, PRIORITY] = None
    constraints: ConstraintsBody | None = None
    stream: Annotated[bool | None, STREAM] = None


class ContextFileBody(Struct):
    """Another file that the author has open."""

    path: str
    text: str


class AutocompleteBody(Generating, kw_only=True):
    """Asks for text between ``prefix`` and ``suffix``."""

    prefix: Annotated[str, Meta(description="Text before the cursor.")] = ""
    suffix: Annotated[str | None, Meta(description="Text after the cursor.")] = None
    language: Annotated[str | None, Meta(description="Such as python.")] = None
    path: Annotated[str | None, Meta(description="The file's own path.", examples=["a.py"])] = None
    context: Annotated[list[ContextFileBody] | None, Meta(description="Other files that help.")] = (
        None
    )
    stop_rule: Annotated[
        StopRule | None, Meta(description="Where the completion ends by itself.")
    ] = None
    session: Annotated[str | None, _SESSION] = None


class Term(Struct):
    """A term and how it is to be translated."""

    source: str
    target: str


class TranslateBody(TaskFields, kw_only=True):
    """Asks for translations of texts."""

    text: Annotated[str | list[str], Meta(description="One text or several.")]
    target: Annotated[str, Meta(description="Language code.", examples=["pt", "pt-BR"])] = ""
    source: Annotated[str | None, Meta(description="Language code; auto where left out.")] = None
    format: Annotated[
        Format | None, Meta(description="What the texts are; markup is kept as it is.")
    ] = None
    glossary: Annotated[
        list[Term] | None, Meta(description="Terms; each stands as a word of its own.")
    ] = None
    stream: Annotated[bool | None, STREAM] = None


class RouteBody(Struct):
    """Asks how a request would be routed; the other fields are those of the task's own body."""

    task: Task
    constraints: ConstraintsBody | None = None


class CostDetails(Struct):
    """What a request cost on this machine, the idle time of its models left out.

    ``amount`` is exact; ``counterfactual`` is what configured references would have taken.
    """

    currency: str
    amount: str
    method: str
    device_seconds: float
    energy_joules: float
    counterfactual: dict[str, float]


class TimingAnswer(Struct):
    """Where a request's time went, in milliseconds; the parts follow each other."""

    route_ms: float
    queue_ms: float
    prefill_ms: float
    decode_ms: float


class UsageAnswer(Struct):
    """What a whole request took; seconds where there was audio.

    Its cost and its timing are there for callers who may see them.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int
    input_characters: int
    audio_seconds: float | UnsetType = UNSET
    cost: float | UnsetType = UNSET
    cost_details: CostDetails | UnsetType = UNSET
    timing: TimingAnswer | UnsetType = UNSET


class AutocompleteChoice(Struct):
    """One completion."""

    index: int
    text: str
    finish_reason: FinishReason


class AutocompleteAnswer(Struct):
    """The completions of one request."""

    id: str
    model: str
    choices: list[AutocompleteChoice]
    usage: UsageAnswer
    notes: tuple[str, ...]
    cached: bool


class LanguagePair(Struct):
    """A direction of translation."""

    source: str
    target: str


class Translation(Struct):
    """One translated text."""

    text: str
    source: str
    target: str


class TranslateAnswer(Struct):
    """The translations of one request, in the order of its texts; each tells its own source.

    ``detected_source``, that of the first, is there where the request left ``source`` open.
    """

    id: str
    model: str
    translations: list[Translation]
    usage: UsageAnswer
    notes: tuple[str, ...]
    detected_source: str | UnsetType = UNSET


class ExpectedAnswer(Struct):
    """What serving the request is expected to take, as earlier ones did.

    ``cost`` is in the currency, ``latency_ms`` what 95 of 100 such requests stay below.
    """

    cost: float
    device_seconds: float
    latency_ms: float


class VerdictAnswer(Struct):
    """Why a model was kept or dropped, and what was known of it.

    ``ejected`` says that it failed lately, ``measured`` by how many requests of this task it was
    measured; ``expected`` is null until those are enough. All numbers are null for callers who are
    not told costs: they tell of others.
    """

    model: str
    kept: bool
    reason: str
    up: bool
    ejected: bool
    in_flight: int | None
    waiting: int | None
    measured: int | None
    expected: ExpectedAnswer | None


class LegAnswer(Struct):
    """One model's part of a route, and what it translates in its own codes."""

    model: str
    pair: LanguagePair | None


class RouteOption(Struct):
    """One way to serve the request: its models, one after the other."""

    legs: list[LegAnswer]
    expected: ExpectedAnswer | None


class RouteAnswer(Struct):
    """How a request would be routed: ``routes`` in the order in which they would be tried.

    Where nothing can serve it there are none, and ``refusal`` says why.
    """

    model: str
    pair: LanguagePair | None
    reason: str
    routes: list[RouteOption]
    verdicts: list[VerdictAnswer]
    refusal: str | None = None
    detected_source: str | UnsetType = UNSET


class StartEvent(Struct):
    """Who serves a stream, and how; ``pair`` only where it is a translation.

    ``cached`` says that it is what is left of an earlier suggestion, which took no model.
    ``detected_source`` is there where the request left ``source`` open. ``pair`` and it are the
    first text's; ``detected_sources`` are all texts' where they differ.
    """

    id: str
    model: str
    notes: tuple[str, ...]
    pair: LanguagePair | UnsetType = UNSET
    cached: bool | UnsetType = UNSET
    detected_source: str | UnsetType = UNSET
    detected_sources: list[str] | UnsetType = UNSET


class DeltaEvent(Struct):
    """More text of one output, and the number of tokens generated for it."""

    index: int
    text: str
    token_count: int


class FinishEvent(Struct):
    """One output is complete."""

    index: int
    reason: FinishReason


class SegmentAnswer(Struct):
    """What was said in a part of the audio; ``language`` is what the model took it for."""

    start_seconds: float
    end_seconds: float
    text: str
    language: str


class TaskEvent(Struct, omit_defaults=True):
    """One event of a stream: ``start`` first, ``usage`` last; exactly one field is there.

    After the last event comes ``data: [DONE]``. A stream that fails ends with ``{"error": …}``.
    """

    start: StartEvent | None = None
    delta: DeltaEvent | None = None
    finish: FinishEvent | None = None
    segment: SegmentAnswer | None = None
    usage: UsageAnswer | None = None


class ReadyAnswer(Struct):
    """Whether every model serves, and the state of each."""

    ready: bool
    models: dict[str, str]


class HealthAnswer(Struct):
    """The server runs."""

    status: str


class VersionAnswer(Struct):
    """Which hexkey this is."""

    version: str


class HomeAnswer(Struct):
    """Where to go from the front door."""

    name: str
    version: str
    links: dict[str, str]
