"""Ollama's ``POST /api/embed`` and its older ``/api/embeddings``: vectors of unit length.

Source: the ``ollama`` client and Ollama's API reference. Durations are in nanoseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Struct

from hexkey.types import Embed, Usage, Vector
from hexkey.wire.http import codec
from hexkey.wire.http.families.ollama import DIALECT, plain_name
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.retrieval_schemas import DIMENSIONS
from hexkey.wire.http.runs import found, served_by
from hexkey.wire.http.schemas import MODEL

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.wire.http.errors import Header
    from hexkey.wire.http.exchange import Exchange

_NAMES = {"text": "input"}


class OllamaEmbedBody(Struct):
    """Asks for vectors of one text or several; ``truncate`` false refuses what is too long."""

    model: Annotated[str, MODEL]
    input: str | list[str]
    truncate: bool | None = None
    dimensions: Annotated[int | None, DIMENSIONS] = None


class OllamaEmbedAnswer(Struct):
    """The vectors in the order of the texts, and what they took."""

    model: str
    embeddings: list[tuple[float, ...]]
    total_duration: int
    prompt_eval_count: int
    load_duration: int = 0


class OllamaEmbeddingsBody(Struct):
    """Asks for the vector of one text, in the older way."""

    model: Annotated[str, MODEL]
    prompt: str


class OllamaEmbeddingsAnswer(Struct):
    """The vector."""

    embedding: tuple[float, ...]


_BODY = msgspec.json.Decoder(OllamaEmbedBody)
_OLDER = msgspec.json.Decoder(OllamaEmbeddingsBody)


async def ollama_embed(exchange: Exchange, service: Service) -> None:
    """Place texts in a model's space of meanings."""
    body = codec.decode(_BODY, exchange.body)
    payload = Embed(
        texts=codec.texts(body.input),
        dimensions=body.dimensions or 0,
        truncate=body.truncate is not False,
    )
    with codec.naming(_NAMES):
        vectors, usage, headers = await _embed(exchange, service, payload, body.model)
    took_ns = int(exchange.elapsed_s() * 1e9)
    answer = OllamaEmbedAnswer(
        body.model, [one.values for one in vectors], took_ns, usage.input_tokens
    )
    await exchange.json(answer, headers)


async def ollama_embeddings(exchange: Exchange, service: Service) -> None:
    """Place a text in a model's space of meanings."""
    body = codec.decode(_OLDER, exchange.body)
    payload = Embed(texts=(body.prompt,), truncate=True)
    with codec.naming({"text": "prompt"}):
        (vector,), _, headers = await _embed(exchange, service, payload, body.model)
    await exchange.json(OllamaEmbeddingsAnswer(vector.values), headers)


async def _embed(
    exchange: Exchange, service: Service, payload: Embed, model: str
) -> tuple[list[Vector], Usage, list[Header]]:
    run = service.run(exchange.request(payload, plain_name(model)))
    vectors, usage = await found(exchange, run, Vector)
    return vectors, usage, served_by(exchange, run.model, usage.cost)


OPERATIONS = (
    Operation(
        "POST", "/api/embed", ollama_embed, OllamaEmbedAnswer, OllamaEmbedBody, dialect=DIALECT
    ),
    Operation(
        "POST", "/api/embeddings", ollama_embeddings,
        OllamaEmbeddingsAnswer, OllamaEmbeddingsBody, dialect=DIALECT,
    ),
)  # fmt: skip
