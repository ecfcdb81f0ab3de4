"""What flows through the house: a Request goes in, Events come out.

Everything here is a frozen ``msgspec.Struct``, so the same objects travel over the engine channel
without a second vocabulary.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from hexkey.errors import Code


class Task(StrEnum):
    """What a caller wants done."""

    AUTOCOMPLETE = "autocomplete"
    CHAT = "chat"
    TRANSLATE = "translate"


class StopRule(StrEnum):
    """Where an autocompletion ends by itself, beside ``stop`` strings and ``max_tokens``."""

    NONE = "none"
    LINE = "line"
    SENTENCE = "sentence"
    BLOCK = "block"


class FinishReason(StrEnum):
    """Why one output ended."""

    STOP = "stop"
    LENGTH = "length"


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are chosen. ``temperature`` 0 is greedy; ``top_k`` 0 keeps all tokens."""

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logprobs: bool = False


class ContextFile(msgspec.Struct, frozen=True):
    """Another file that the author has open; it helps a completion model."""

    path: str
    text: str


class Autocomplete(msgspec.Struct, frozen=True, kw_only=True, tag="autocomplete"):
    """Continue ``prefix``; what comes back stands between ``prefix`` and ``suffix``.

    ``tokens``, where given, replaces ``prefix`` by ids of the model's own vocabulary.
    """

    prefix: str
    suffix: str = ""
    tokens: tuple[int, ...] = ()
    language: str = ""
    context: tuple[ContextFile, ...] = ()
    stop_rule: StopRule = StopRule.NONE
    session: str = ""
    sampling: Sampling = Sampling()


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation; ``role`` is system, user or assistant."""

    role: str
    content: str


class Chat(msgspec.Struct, frozen=True, kw_only=True, tag="chat"):
    """Answer the last message of a conversation."""

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()


class Translate(msgspec.Struct, frozen=True, kw_only=True, tag="translate"):
    """Translate each of ``texts``; an empty ``source`` lets the server decide it."""

    texts: tuple[str, ...]
    target: str
    source: str = ""


Payload = Autocomplete | Chat | Translate

TASK_OF: dict[type[Payload], Task] = {
    Autocomplete: Task.AUTOCOMPLETE,
    Chat: Task.CHAT,
    Translate: Task.TRANSLATE,
}


class Constraints(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller will not have; the router drops models that are expected to break it.

    ``max_cost_pico`` is in 1e-12 of the server's currency. ``labels`` are those a model must have,
    with these values, such as the region it runs in.
    """

    max_cost_pico: int | None = None
    max_latency_s: float | None = None
    labels: dict[str, str] = {}


UNCONSTRAINED = Constraints()


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One call, whichever wire it came by.

    ``model`` empty means: choose by task. ``deadline`` is on ``time.monotonic()``, in seconds.
    """

    id: str
    payload: Payload
    protocol: str
    model: str = ""
    tenant: str = ""
    deadline: float | None = None
    constraints: Constraints = UNCONSTRAINED

    @property
    def task(self) -> Task:
        """The task this request asks for."""
        return TASK_OF[type(self.payload)]


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
    """Output ``index`` is complete."""

    index: int
    reason: FinishReason


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


class Usage(msgspec.Struct, array_like=True, tag="u"):
    """What the whole request took; always the last event of a request that succeeds.

    Hosts know nothing of money: ``cost`` is filled in on the front end's side.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    input_characters: int = 0
    cost: Cost | None = None


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


Event = Delta | Finish | Usage
HostEvent = Delta | Finish | Usage | Failure


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a loaded model can do, as its engine reports it."""

    context_tokens: int
    fim: bool = False
    chat: bool = False
    logprobs: bool = False
    notes: tuple[str, ...] = ()
