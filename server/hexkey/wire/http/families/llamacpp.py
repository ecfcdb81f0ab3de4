"""llama.cpp's ``POST /infill``, as editors' plug-ins (llama.vscode, llama.vim) send it.

Source: llama.cpp's server README and llama.vscode. What names samplers, slots and time limits of
llama.cpp's own is ignored; ``n_predict`` below 0 means as much as the model's window holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import UNSET, Meta, Struct

from hexkey.errors import Code
from hexkey.types import Autocomplete, ContextFile, FinishReason, Sampling, Usage
from hexkey.wire.http import codec
from hexkey.wire.http.errors import STATUSES, Dialect, TokensEmitted
from hexkey.wire.http.families.single import SingleEncoder, Times, serve
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.schemas import MODEL, Seed, Stop, Temperature, TopK, TopP
from hexkey.wire.http.stream import SSE

if TYPE_CHECKING:
    from hexkey.errors import ServeError
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange

_DEFAULT = Sampling()
_NAMES = {"prefix": "input_prefix", "max_tokens": "n_predict", "context": "input_extra"}
_STOP_TYPES = {FinishReason.STOP: "eos", FinishReason.LENGTH: "limit"}


class InfillExtra(Struct):
    """A piece of another file."""

    text: str
    filename: str = ""


class InfillBody(Struct):
    """Asks for what stands between ``input_prefix`` with ``prompt``, and ``input_suffix``."""

    input_prefix: Annotated[str, Meta(description="Lines before the cursor's.")]
    input_suffix: Annotated[str, Meta(description="Text after the cursor.")]
    prompt: Annotated[str | None, Meta(description="The cursor's line up to the cursor.")] = None
    input_extra: list[InfillExtra] | None = None
    model: Annotated[str | None, MODEL] = None
    n_predict: Annotated[
        int | None, Meta(description="0 generates nothing, -1 as much as fits.")
    ] = None
    temperature: Temperature = None
    top_p: TopP = None
    top_k: TopK = None
    seed: Seed = None
    stop: Stop = None
    stream: bool | None = None


class InfillTimings(Struct):
    """Tokens, and how long they took: all of the prompt, then all that was generated."""

    prompt_n: int
    prompt_ms: float
    prompt_per_second: float
    predicted_n: int
    predicted_ms: float
    predicted_per_second: float


class InfillAnswer(Struct, kw_only=True):
    """The text, and what it took; it also is the last event of a stream, then without text."""

    content: str
    stop: bool = True
    model: str
    stop_type: str
    stopping_word: str = ""
    tokens_predicted: int
    tokens_evaluated: int
    tokens_cached: int
    truncated: bool = False
    timings: InfillTimings


class InfillEvent(Struct):
    """A piece of a stream: more text, ``stop`` false; an ``InfillAnswer`` follows the last."""

    content: str
    stop: bool


class LlamaErrorDetail(Struct):
    """What went wrong; ``code`` is the status."""

    code: int
    message: str
    type: str
    tokens_emitted: TokensEmitted = UNSET


class LlamaError(Struct):
    """Body of every answer that is an error."""

    error: LlamaErrorDetail


_TYPES = {
    Code.UNAUTHENTICATED: "authentication_error",
    Code.PERMISSION_DENIED: "permission_error",
    Code.NOT_FOUND: "not_found_error",
    Code.UNAVAILABLE: "unavailable_error",
    Code.RESOURCE_EXHAUSTED: "unavailable_error",
    Code.INTERNAL: "server_error",
    Code.DEADLINE_EXCEEDED: "server_error",
}


def _tell(error: ServeError, status: int) -> LlamaError:
    kind = _TYPES.get(error.code, "invalid_request_error")
    return LlamaError(LlamaErrorDetail(status, error.message, kind, error.tokens_emitted))


DIALECT = Dialect("LlamaError", STATUSES, LlamaError, _tell)
_BODY = msgspec.json.Decoder(InfillBody)
_encode = msgspec.json.encode


async def infill(exchange: Exchange, service: Service) -> None:
    """Fill the gap at a cursor, as llama.cpp does."""
    body = codec.decode(_BODY, exchange.body)
    asked = exchange.request(_payload(body), body.model)
    if body.n_predict == 0:
        # Plug-ins send this to have a cache filled ahead; there is nothing to say to it.
        await exchange.json(_answer(asked.model, "", FinishReason.LENGTH, Usage(), Times()))
        return
    await serve(
        exchange, service.run(asked), InfillEncoder(exchange), _NAMES, SSE if body.stream else None
    )


class InfillEncoder(SingleEncoder):
    """Writes the answer or its pieces; the last piece is an answer without text, and the end."""

    __slots__ = ()

    def piece(self, text: str) -> bytes:
        """Write more text."""
        return SSE.frame(_encode(InfillEvent(text, stop=False)))

    def end(self, event: Usage) -> bytes:
        """Write why it ended and what it took; llama.cpp has no other end mark."""
        return SSE.frame(_encode(self.whole("", event)))

    def whole(self, text: str, usage: Usage) -> InfillAnswer:
        """Return the answer."""
        answer = _answer(self.model, text, self.reason, usage, self.times())
        if self.stop:
            answer.stop_type, answer.stopping_word = "word", self.stop
        return answer


def _answer(
    model: str, text: str, reason: FinishReason, usage: Usage, times: Times
) -> InfillAnswer:
    computed = usage.input_tokens - usage.cached_tokens
    return InfillAnswer(
        content=text,
        model=model,
        stop_type=_STOP_TYPES[reason],
        tokens_predicted=usage.output_tokens,
        tokens_evaluated=usage.input_tokens,
        tokens_cached=usage.cached_tokens,
        timings=InfillTimings(
            computed,
            times.prompt_s * 1000,
            _rate(computed, times.prompt_s),
            usage.output_tokens,
            times.output_s * 1000,
            _rate(usage.output_tokens, times.output_s),
        ),
    )


def _rate(tokens: int, seconds: float) -> float:
    return tokens / seconds if seconds else 0.0


def _payload(body: InfillBody) -> Autocomplete:
    return Autocomplete(
        prefix=body.input_prefix + (body.prompt or ""),
        suffix=body.input_suffix,
        context=tuple(ContextFile(one.filename, one.text) for one in body.input_extra or ()),
        sampling=Sampling(
            max_tokens=codec.limit(body.n_predict, _DEFAULT.max_tokens),
            temperature=body.temperature or 0.0,
            top_p=_DEFAULT.top_p if body.top_p is None else body.top_p,
            top_k=body.top_k or 0,
            seed=None if body.seed == -1 else body.seed,
            stop=codec.stops(body.stop),
        ),
    )


OPERATIONS = (
    Operation(
        "POST", "/infill", infill,
        InfillAnswer, InfillBody, (InfillEvent, InfillAnswer), dialect=DIALECT,
    ),
)  # fmt: skip
