"""What flows through the house: a Request goes in, Events come out.

Everything here is a frozen ``msgspec.Struct``, so the same objects travel over the engine channel
without a second vocabulary.
"""

from __future__ import annotations

import struct
from enum import StrEnum

import msgspec

from hexkey.errors import Code
from hexkey.payloads import (
    UNBOUNDED,
    Autocomplete,
    Chat,
    Classify,
    ContextFile,
    Embed,
    Format,
    Length,
    Message,
    Payload,
    Rerank,
    Sampling,
    StopRule,
    Summarize,
    Task,
    Transcribe,
    Translate,
    task_of,
)

__all__ = [
    "UNBOUNDED",
    "UNCONSTRAINED",
    "Autocomplete",
    "Began",
    "Chat",
    "Classify",
    "Constraints",
    "ContextFile",
    "Cost",
    "Delta",
    "Embed",
    "Event",
    "Failure",
    "Finish",
    "FinishReason",
    "Format",
    "HostEvent",
    "Length",
    "Message",
    "ModelInfo",
    "Payload",
    "Priority",
    "Request",
    "Rerank",
    "Sampling",
    "Scores",
    "Segment",
    "StopRule",
    "Summarize",
    "Task",
    "TokenLogprob",
    "Transcribe",
    "Translate",
    "Usage",
    "Vector",
    "task_of",
]


class Priority(StrEnum):
    """How urgent a request is, the most urgent class first."""

    INTERACTIVE = "interactive"
    NORMAL = "normal"
    BATCH = "batch"


class FinishReason(StrEnum):
    """Why one output ended."""

    STOP = "stop"
    LENGTH = "length"


class Constraints(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller will not have; the router drops models that are expected to break it.

    ``max_cost_pico`` is in 1e-12 of the server's currency. ``labels`` are those a model must have,
    with these values, such as the region it runs in.
    """

    max_cost_pico: int | None = None
    max_latency_s: float | None = None
    labels: dict[str, str] = {}


UNCONSTRAINED = Constraints()
ALL = "*"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: a tenant, the id of its key, and what the key is for; ``ALL`` stands for any name.

    The default is somebody without a key, where keys are not needed.
    """

    tenant: str = ""
    key: str = ""
    tasks: frozenset[str] = frozenset({ALL})
    models: frozenset[str] = frozenset({ALL})
    metrics: bool = False
    admin: bool = False


ANYBODY = Caller()


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One call, whichever wire it came by; ``traceparent`` and ``tracestate`` as W3C has them.

    ``model`` empty means: choose by task. ``deadline`` is on ``time.monotonic()``, in seconds.
    ``whole`` says that nobody reads the answer before it is complete; ``again``, that a process of
    its model ended with it, which is not to happen to a third.
    """

    id: str
    payload: Payload
    protocol: str
    model: str = ""
    caller: Caller = ANYBODY
    priority: Priority = Priority.NORMAL
    traceparent: str = ""
    tracestate: str = ""
    deadline: float | None = None
    constraints: Constraints = UNCONSTRAINED
    whole: bool = False
    again: bool = False

    @property
    def task(self) -> Task:
        """The task this request asks for."""
        return task_of(self.payload)

    @property
    def tenant(self) -> str:
        """Whose request it is; empty where there are no keys."""
        return self.caller.tenant


class Terms(msgspec.Struct, frozen=True, array_like=True):
    """How core wants a request run, beside what its payload says.

    ``adapter`` is one of the model's adapters by name, or empty. Of requests that wait in the
    engine those with the lowest ``priority`` go first. What is cached for one ``salt`` is never
    used for another, so that nobody can tell by the time what others have asked; OpenVINO's cache
    knows no such thing.
    """

    adapter: str = ""
    priority: int = 0
    salt: str = ""


PLAIN = Terms()


class TokenLogprob(msgspec.Struct, frozen=True, array_like=True):
    """One generated token: its bytes and its natural-log probability."""

    token: bytes
    logprob: float


class Delta(msgspec.Struct, array_like=True, tag="d"):
    """More text of output ``index`` (the choice of a completion, the text of a translation).

    ``tokens`` counts what was generated for it; it may be 0 or, where deltas were merged or text
    was held back, more than 1.
    """

    index: int
    text: str
    tokens: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()


class Finish(msgspec.Struct, array_like=True, tag="f"):
    """Output ``index`` is complete; ``stop`` is the stop string that ended it, if one did."""

    index: int
    reason: FinishReason
    stop: str = ""


class Vector(msgspec.Struct, array_like=True, tag="v"):
    """Where text ``index`` lies: ``data`` is its vector as little-endian float32."""

    index: int
    data: bytes

    def __len__(self) -> int:
        return len(self.data) // 4

    @property
    def values(self) -> tuple[float, ...]:
        """The vector's numbers."""
        return struct.unpack(f"<{len(self)}f", self.data)


class Scores(msgspec.Struct, array_like=True, tag="s"):
    """What was found of one output: document ``index`` of a rerank has one value.

    Text ``index`` of a classify has one for each label, in the order of the request's labels;
    ``labels`` names them where they are the model's own.
    """

    index: int
    values: tuple[float, ...]
    labels: tuple[str, ...] = ()


class Segment(msgspec.Struct, array_like=True, tag="g"):
    """What was said from ``start_s`` to ``end_s``, in seconds from the beginning of the audio.

    Its text is told by deltas as well; ``language`` is what the model took it for.
    """

    start_s: float
    end_s: float
    text: str
    language: str = ""


class Cost(msgspec.Struct, frozen=True):
    """What a request cost on this machine: ``pico`` is in 1e-12 of the currency, and exact.

    ``counterfactual`` is what named references would have taken for the same tokens.
    """

    pico: int
    currency: str
    device_seconds: float
    energy_joules: float
    counterfactual: dict[str, float] = {}

    def __add__(self, other: Cost) -> Cost:
        """The cost of both; they are of one machine, so of one currency and the same references."""
        return Cost(
            pico=self.pico + other.pico,
            currency=self.currency,
            device_seconds=self.device_seconds + other.device_seconds,
            energy_joules=self.energy_joules + other.energy_joules,
            counterfactual={
                name: amount + other.counterfactual.get(name, 0.0)
                for name, amount in self.counterfactual.items()
            },
        )

    @property
    def amount(self) -> str:
        """The money as a decimal number, without rounding."""
        whole, rest = divmod(self.pico, 10**12)
        return f"{whole}.{rest:012d}"


class Timing(msgspec.Struct, frozen=True):
    """Where a request's time went, in seconds: the parts follow each other and add up.

    ``route`` until it had its model, ``queue`` until an engine took it up, ``prefill`` until its
    first output, ``decode`` from then on.
    """

    route: float
    queue: float
    prefill: float
    decode: float

    @property
    def header(self) -> str:
        """The value of ``Server-Timing``, in milliseconds."""
        route, queue, prefill, decode = (1000 * one for one in msgspec.structs.astuple(self))
        return (
            f"route;dur={route:.2f}, queue;dur={queue:.2f}, prefill;dur={prefill:.2f}, "
            f"decode;dur={decode:.2f}"
        )


class Usage(msgspec.Struct, array_like=True, tag="u"):
    """What the whole request took; always the last event of a request that succeeds.

    Hosts know nothing of money: ``cost`` and ``timing`` are filled in on the front end's side, for
    callers who may see them.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    input_characters: int = 0
    audio_seconds: float = 0.0
    cost: Cost | None = None
    timing: Timing | None = None


class Failure(msgspec.Struct, array_like=True, tag="x"):
    """The request ended in an error; on the channel only, callers get a ServeError."""

    code: Code
    message: str
    param: str | None = None


class Began(msgspec.Struct, frozen=True):
    """The engine took the request into a step, ``queued_s`` seconds after it was submitted.

    Made on the front end's side of the channel, for metering; callers never see it.
    """

    queued_s: float


Event = Delta | Finish | Vector | Scores | Segment | Usage
HostEvent = Delta | Finish | Vector | Scores | Segment | Usage | Failure


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a loaded model can do, as its engine reports it.

    ``dimensions`` is the length of its vectors, ``labels`` what it tells apart by itself.
    ``concurrency`` is how many requests it makes use of at once: those of a full batch and those
    that must be at hand when a place in it falls free; 0 where it has no say in this.
    """

    context_tokens: int
    concurrency: int = 0
    fim: bool = False
    chat: bool = False
    logprobs: bool = False
    schemas: bool = False
    dimensions: int = 0
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
