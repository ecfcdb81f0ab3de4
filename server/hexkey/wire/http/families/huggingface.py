"""Hugging Face's tasks and TGI: ``POST /models/{model}``, and ``POST /`` for generation.

Source: ``huggingface_hub.InferenceClient``, which posts to a model's URL as it is, and TGI's own
API document. What a model at such a URL does is the first of these that it can: transcribe,
translate, embed, generate; a task's name in a model's place does that task (see
``huggingface_tasks`` for those that generate no text). Sampling is greedy unless asked for.
"""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import UNSET, Meta, Struct

from hexkey import polyglot
from hexkey.errors import Code, ServeError, invalid
from hexkey.types import Autocomplete, FinishReason, Sampling, Task, Translate
from hexkey.wire.http import codec
from hexkey.wire.http.errors import STATUSES, Dialect, TokensEmitted
from hexkey.wire.http.families import huggingface_tasks
from hexkey.wire.http.families.huggingface_tasks import HfSentences, HfSpeech, HfSummary
from hexkey.wire.http.families.single import SingleEncoder, serve
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.retrieval_schemas import TRUNCATE
from hexkey.wire.http.runs import collect, served_by
from hexkey.wire.http.schemas import MaxTokens, Seed, Temperature, TopK, TopP
from hexkey.wire.http.stream import SSE

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.types import Usage
    from hexkey.wire.http.exchange import Exchange

MAX_TOKENS = 100
_DEFAULT = Sampling()
_NAMES = {
    "prefix": "inputs", "text": "inputs", "max_tokens": "parameters.max_new_tokens",
    "source": "parameters.src_lang", "target": "parameters.tgt_lang",
}  # fmt: skip
_REASONS = {FinishReason.STOP: "eos_token", FinishReason.LENGTH: "length"}
_TYPES = {
    Code.INVALID_ARGUMENT: "validation",
    Code.TOO_LARGE: "validation",
    Code.NOT_FOUND: "validation",
    Code.RESOURCE_EXHAUSTED: "overloaded",
    Code.UNAVAILABLE: "overloaded",
}


class HfParameters(Struct):
    """What the tasks take; each heeds its own."""

    src_lang: str | None = None
    tgt_lang: str | None = None
    max_new_tokens: MaxTokens = None
    temperature: Temperature = None
    top_p: TopP = None
    top_k: TopK = None
    seed: Seed = None
    stop: list[str] | None = None
    details: bool | None = None
    return_full_text: bool | None = None


class HfBody(Struct):
    """Asks a model to do with ``inputs`` what it does."""

    inputs: Annotated[
        str | list[str] | HfSentences,
        Meta(description="A text; to translate or embed, also several; sentences to compare."),
    ]
    parameters: HfParameters | None = None
    stream: bool | None = None
    truncate: Annotated[bool | None, TRUNCATE] = None


class HfDetails(Struct):
    """Why a generation ended, and after how many tokens."""

    finish_reason: str
    generated_tokens: int
    input_length: int
    seed: int | None = None
    prefill: list[str] = []
    tokens: list[str] = []


class HfGeneration(Struct, omit_defaults=True):
    """A generated text."""

    generated_text: str
    details: HfDetails | None = None


class HfTranslation(Struct):
    """A translated text."""

    translation_text: str


class HfToken(Struct):
    """New text of a stream, which may be more or less than one token of the model."""

    text: str
    id: int = 0
    logprob: float = 0.0
    special: bool = False


class HfEvent(Struct):
    """One event of a stream; the last has the whole text and the details."""

    index: int
    token: HfToken
    generated_text: str | None = None
    details: HfDetails | None = None


class HfError(Struct):
    """Body of every answer that is an error."""

    error: str
    error_type: str
    tokens_emitted: TokensEmitted = UNSET


def _tell(error: ServeError, _status: int) -> HfError:
    return HfError(error.message, _TYPES.get(error.code, "generation"), error.tokens_emitted)


DIALECT = Dialect("HfError", STATUSES, HfError, _tell)
_BODY = msgspec.json.Decoder(HfBody)
_encode = msgspec.json.encode


async def huggingface_generate(exchange: Exchange, service: Service) -> None:
    """Continue a text, as TGI does at its front door."""
    await _generate(exchange, service, codec.decode(_BODY, exchange.body), None)


async def tgi_generate(exchange: Exchange, service: Service) -> None:
    """Continue a text and answer at once."""
    body = codec.decode(_BODY, exchange.body)
    body.stream = False
    await _generate(exchange, service, body, None, TgiEncoder)


async def tgi_generate_stream(exchange: Exchange, service: Service) -> None:
    """Continue a text and answer as it comes."""
    body = codec.decode(_BODY, exchange.body)
    body.stream = True
    await _generate(exchange, service, body, None)


async def huggingface_model(exchange: Exchange, service: Service) -> None:
    """Do what the model, or the task, at this URL does: other tasks than text before text."""
    model = exchange.scope["path_params"]["id"]
    tasks = {one.name: one.tasks for one in service.pool.catalog}.get(model, frozenset({model}))
    if Task.TRANSCRIBE in tasks:
        await huggingface_tasks.transcribe(exchange, service, _audio(exchange), model)
        return
    body = codec.decode(_BODY, exchange.body)
    inputs = body.inputs
    if isinstance(inputs, HfSentences):
        named = Task.RERANK if model == Task.EMBED else model
        await huggingface_tasks.compare(exchange, service, inputs, named)
    elif Task.TRANSLATE in tasks:
        await _translate(exchange, service, body, model)
    elif Task.EMBED in tasks:
        truncate = bool(body.truncate)
        await huggingface_tasks.embed(exchange, service, inputs, model, truncate=truncate)
    elif model == Task.SUMMARIZE:
        asked = body.parameters or HfParameters()
        text = _one_text(body)
        await huggingface_tasks.summarize(exchange, service, text, model, asked.max_new_tokens)
    else:
        await _generate(exchange, service, body, model)


class HfEncoder(SingleEncoder):
    """Writes the answer or its events; the text is kept, as the last event tells it whole."""

    __slots__ = ("_before", "_details", "_index", "_parts")

    def __init__(self, exchange: Exchange, before: str, *, details: bool) -> None:
        super().__init__(exchange)
        self._before = before
        self._details = details
        self._index = 0
        self._parts: list[str] = []

    def piece(self, text: str) -> bytes:
        """Write more text."""
        self._index += 1
        self._parts.append(text)
        return SSE.frame(_encode(HfEvent(self._index, HfToken(text))))

    def end(self, event: Usage) -> bytes:
        """Write the whole text and what it took."""
        text = self._before + "".join(self._parts)
        last = HfEvent(self._index + 1, HfToken("", special=True), text, self._told(event))
        return SSE.frame(_encode(last))

    def whole(self, text: str, usage: Usage) -> object:
        """Return the answer, one of a list."""
        return [self._answer(text, usage)]

    def _answer(self, text: str, usage: Usage) -> HfGeneration:
        details = self._told(usage) if self._details else None
        return HfGeneration(self._before + text, details)

    def _told(self, usage: Usage) -> HfDetails:
        return HfDetails(self._why(), usage.output_tokens, usage.input_tokens)

    def _why(self) -> str:
        return "stop_sequence" if self.stop else _REASONS[self.reason]


class TgiEncoder(HfEncoder):
    """Writes what TGI answers at ``/generate``, which is no list."""

    __slots__ = ()

    def whole(self, text: str, usage: Usage) -> object:
        """Return the answer."""
        return self._answer(text, usage)


async def _generate(
    exchange: Exchange,
    service: Service,
    body: HfBody,
    model: str | None,
    kind: type[HfEncoder] = HfEncoder,
) -> None:
    asked = body.parameters or HfParameters()
    prompt = _one_text(body)
    run = service.run(exchange.request(_continuation(prompt, asked), model))
    before = prompt if asked.return_full_text else ""
    encoder = kind(exchange, before, details=bool(asked.details))
    await serve(exchange, run, encoder, _NAMES, SSE if body.stream else None)


async def _translate(exchange: Exchange, service: Service, body: HfBody, model: str) -> None:
    asked = body.parameters or HfParameters()
    texts = _texts(body)
    target = asked.tgt_lang or _only_target(service, model)
    payload = Translate(texts=texts, source=asked.src_lang or "", target=target)
    run = polyglot.run(service, exchange.request(payload, model))
    try:
        outputs, usage = await collect(exchange, run)
    except ServeError as error:
        raise codec.renamed(error, _NAMES) from None
    answer = [HfTranslation(output.text) for output in outputs]
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


def _audio(exchange: Exchange) -> bytes:
    """Return the body or, where that is JSON, the base64 in it, which is how parameters come."""
    if not exchange.headers.get(b"content-type", b"").startswith(b"application/json"):
        return exchange.body
    inputs = codec.decode(_BODY, exchange.body).inputs
    try:
        return b64decode(inputs if isinstance(inputs, str) else "?", validate=True)
    except ValueError:
        raise invalid("inputs: send audio in base64, or as the body itself", "inputs") from None


def _texts(body: HfBody) -> tuple[str, ...]:
    if isinstance(body.inputs, HfSentences):
        raise invalid("inputs: send a text, or several", "inputs")
    return codec.texts(body.inputs)


def _one_text(body: HfBody) -> str:
    texts = _texts(body)
    if len(texts) != 1:
        raise invalid("inputs: send one text; several are for translation and embedding", "inputs")
    return texts[0]


def _only_target(service: Service, model: str) -> str:
    """Return the target of a model that has only one, as callers of such a model name none."""
    targets = {
        pair.target for one in service.pool.catalog if one.name == model for pair in one.pairs
    }
    return targets.pop() if len(targets) == 1 else ""


def _continuation(prompt: str, asked: HfParameters) -> Autocomplete:
    return Autocomplete(
        prefix=prompt,
        sampling=Sampling(
            max_tokens=MAX_TOKENS if asked.max_new_tokens is None else asked.max_new_tokens,
            temperature=asked.temperature or 0.0,
            top_p=_DEFAULT.top_p if asked.top_p is None else asked.top_p,
            top_k=asked.top_k or 0,
            seed=asked.seed,
            stop=tuple(asked.stop or ()),
        ),
    )


OPERATIONS = (
    Operation(
        "POST", "/models/{id}", huggingface_model,
        (
            list[HfTranslation], list[HfGeneration], list[HfSummary], HfSpeech,
            list[tuple[float, ...]], list[float],
        ),
        HfBody, HfEvent, dialect=DIALECT,
    ),
    Operation("POST", "/generate", tgi_generate, HfGeneration, HfBody, dialect=DIALECT),
    Operation(
        "POST", "/generate_stream", tgi_generate_stream, HfEvent, HfBody, HfEvent, dialect=DIALECT
    ),
    Operation(
        "POST", "/", huggingface_generate, list[HfGeneration], HfBody, HfEvent, dialect=DIALECT
    ),
)  # fmt: skip
