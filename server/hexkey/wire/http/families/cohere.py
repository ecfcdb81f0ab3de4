"""Cohere's rerank: ``POST /v2/rerank``, and ``/v1/rerank``, which is hexkey's own as well.

Source: the ``cohere`` client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from hexkey.types import Rerank, Scores
from hexkey.wire.http import codec
from hexkey.wire.http.errors import STATUSES, Dialect
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.retrieval import ranked
from hexkey.wire.http.retrieval_schemas import QUERY, TOP_N, RankedDocument
from hexkey.wire.http.runs import found, served_by
from hexkey.wire.http.schemas import MODEL

if TYPE_CHECKING:
    from hexkey.errors import ServeError
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange


class CohereBody(Struct):
    """Asks for an order of documents."""

    query: Annotated[str, QUERY]
    documents: Annotated[list[str], Meta(description="What to put in order.")]
    model: Annotated[str | None, MODEL] = None
    top_n: Annotated[int | None, TOP_N] = None


class CohereVersion(Struct):
    """Which of Cohere's APIs this is."""

    version: str = "2"


class CohereUnits(Struct):
    """One search is a query with its documents."""

    search_units: int = 1


class CohereMeta(Struct):
    """What Cohere tells beside the answer."""

    api_version: CohereVersion
    billed_units: CohereUnits


class CohereRerank(Struct):
    """The order of one request's documents, best first."""

    id: str
    results: list[RankedDocument]
    meta: CohereMeta


class CohereError(Struct):
    """Body of every answer that is an error."""

    message: str


def _tell(error: ServeError, _status: int) -> CohereError:
    return CohereError(error.message)


DIALECT = Dialect("CohereError", STATUSES, CohereError, _tell)
_BODY = msgspec.json.Decoder(CohereBody)


async def cohere_rerank(exchange: Exchange, service: Service) -> None:
    """Score documents by how well they answer a query, best first."""
    body = codec.decode(_BODY, exchange.body)
    payload = Rerank(query=body.query, documents=tuple(body.documents), top_n=body.top_n or 0)
    run = service.run(exchange.request(payload, body.model))
    scores, usage = await found(exchange, run, Scores)
    results = ranked(payload, scores, repeat=False)
    answer = CohereRerank(exchange.id, results, CohereMeta(CohereVersion(), CohereUnits()))
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


OPERATIONS = (
    Operation("POST", "/v2/rerank", cohere_rerank, CohereRerank, CohereBody, dialect=DIALECT),
)
