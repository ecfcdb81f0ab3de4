"""Text Embeddings Inference: ``POST /embed`` and ``/rerank``; Jina's and vLLM's clients use it too.

Source: TEI's own API document. A ``/rerank`` with ``texts`` is TEI's; one with ``documents`` gets
the answer of ``/v1/rerank``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from hexkey.errors import Code, invalid
from hexkey.tasks import ranking
from hexkey.types import Embed, Rerank, Scores, Vector
from hexkey.wire.http import codec, retrieval
from hexkey.wire.http.errors import STATUSES, Dialect
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.retrieval_schemas import (
    DIMENSIONS,
    QUERY,
    TOP_N,
    TRUNCATE,
    DocumentBody,
    RerankAnswer,
)
from hexkey.wire.http.runs import found, served_by
from hexkey.wire.http.schemas import MODEL

if TYPE_CHECKING:
    from hexkey.errors import ServeError
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange

_TYPES = {
    Code.INVALID_ARGUMENT: "Validation",
    Code.TOO_LARGE: "Validation",
    Code.NOT_FOUND: "Validation",
    Code.RESOURCE_EXHAUSTED: "Overloaded",
    Code.UNAVAILABLE: "Overloaded",
}


class TeiEmbedBody(Struct):
    """Asks for vectors; they are of unit length whatever ``normalize`` says."""

    inputs: Annotated[str | list[str], Meta(description="One text or several.")]
    truncate: Annotated[bool | None, TRUNCATE] = None
    dimensions: Annotated[int | None, DIMENSIONS] = None


class TeiRerankBody(Struct):
    """Asks for an order of ``texts``, or of ``documents``."""

    query: Annotated[str, QUERY]
    texts: Annotated[list[str] | None, Meta(description="What to put in order, of TEI.")] = None
    documents: Annotated[
        list[str | DocumentBody] | None, Meta(description="What to put in order, of others.")
    ] = None
    model: Annotated[str | None, MODEL] = None
    top_n: Annotated[int | None, TOP_N] = None
    truncate: Annotated[bool | None, TRUNCATE] = None
    return_text: Annotated[bool | None, Meta(description="Repeat the texts.")] = None
    return_documents: Annotated[bool | None, Meta(description="Repeat the documents.")] = None


class TeiRank(Struct, omit_defaults=True):
    """The place of the text at ``index``."""

    index: int
    score: float
    text: str | None = None


class TeiError(Struct):
    """Body of every answer that is an error."""

    error: str
    error_type: str


def _tell(error: ServeError, _status: int) -> TeiError:
    return TeiError(error.message, _TYPES.get(error.code, "Backend"))


DIALECT = Dialect("TeiError", STATUSES, TeiError, _tell)
_EMBED = msgspec.json.Decoder(TeiEmbedBody)
_RERANK = msgspec.json.Decoder(TeiRerankBody)


async def tei_embed(exchange: Exchange, service: Service) -> None:
    """Place texts in a model's space of meanings."""
    body = codec.decode(_EMBED, exchange.body)
    payload = Embed(
        texts=codec.texts(body.inputs),
        dimensions=body.dimensions or 0,
        truncate=bool(body.truncate),
    )
    run = service.run(exchange.request(payload, None))
    with codec.naming({"text": "inputs"}):
        vectors, usage = await found(exchange, run, Vector)
    answer = [one.values for one in vectors]
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


async def tei_rerank(exchange: Exchange, service: Service) -> None:
    """Score texts, or documents, by how well they answer a query, best first."""
    body = codec.decode(_RERANK, exchange.body)
    if body.texts is None:
        if body.documents is None:
            raise invalid("there are no texts; send texts, or documents, to put in order", "texts")
        await retrieval.rerank(exchange, service)
        return
    payload = Rerank(query=body.query, documents=tuple(body.texts), truncate=bool(body.truncate))
    run = service.run(exchange.request(payload, body.model))
    with codec.naming({"documents": "texts"}):
        scores, usage = await found(exchange, run, Scores)
    answer = [
        TeiRank(index, score, body.texts[index] if body.return_text else None)
        for index, score in ranking(payload, scores)
    ]
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


OPERATIONS = (
    Operation(
        "POST", "/embed", tei_embed, list[tuple[float, ...]], TeiEmbedBody, dialect=DIALECT
    ),
    Operation(
        "POST", "/rerank", tei_rerank, (list[TeiRank], RerankAnswer), TeiRerankBody,
        dialect=DIALECT,
    ),
)  # fmt: skip
