"""hexkey's own API of what places and compares texts: embed, rerank, classify."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hexkey.tasks import ranking, verdict
from hexkey.types import Classify, Embed, Rerank, Scores, Vector
from hexkey.wire.http import codec
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.retrieval_schemas import (
    Classification,
    ClassifyAnswer,
    ClassifyBody,
    DocumentBody,
    EmbedAnswer,
    EmbedBody,
    EmbeddingAnswer,
    LabelScore,
    RankedDocument,
    RerankAnswer,
    RerankBody,
)
from hexkey.wire.http.runs import found, served_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange

_EMBED = msgspec.json.Decoder(EmbedBody)
_RERANK = msgspec.json.Decoder(RerankBody)
_CLASSIFY = msgspec.json.Decoder(ClassifyBody)


async def embed(exchange: Exchange, service: Service) -> None:
    """Place texts in a model's space of meanings: texts that mean alike lie close."""
    body = codec.decode(_EMBED, exchange.body)
    run = service.run(exchange.request(_embed(body), body.model, codec.wishes(body)))
    vectors, usage = await found(exchange, run, Vector)
    embeddings = [EmbeddingAnswer(one.index, one.values) for one in vectors]
    answer = EmbedAnswer(exchange.id, run.model, embeddings, codec.usage(usage), run.notes)
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


async def rerank(exchange: Exchange, service: Service) -> None:
    """Score documents by how well they answer a query, best first."""
    body = codec.decode(_RERANK, exchange.body)
    payload = _rerank(body)
    run = service.run(exchange.request(payload, body.model, codec.wishes(body)))
    scores, usage = await found(exchange, run, Scores)
    results = ranked(payload, scores, repeat=bool(body.return_documents))
    answer = RerankAnswer(exchange.id, run.model, results, codec.usage(usage), run.notes)
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


async def classify(exchange: Exchange, service: Service) -> None:
    """Score labels by how well they fit texts."""
    body = codec.decode(_CLASSIFY, exchange.body)
    payload = _classify(body)
    run = service.run(exchange.request(payload, body.model, codec.wishes(body)))
    scores, usage = await found(exchange, run, Scores)
    classifications = [
        Classification(
            one.index, [LabelScore(label, score) for label, score in verdict(payload, one)]
        )
        for one in scores
    ]
    answer = ClassifyAnswer(exchange.id, run.model, classifications, codec.usage(usage), run.notes)
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


def embed_of(data: bytes) -> tuple[Embed, str | None]:
    """Return what core is asked for, and the model named."""
    body = codec.decode(_EMBED, data)
    return _embed(body), body.model


def rerank_of(data: bytes) -> tuple[Rerank, str | None]:
    """Return what core is asked for, and the model named."""
    body = codec.decode(_RERANK, data)
    return _rerank(body), body.model


def classify_of(data: bytes) -> tuple[Classify, str | None]:
    """Return what core is asked for, and the model named."""
    body = codec.decode(_CLASSIFY, data)
    return _classify(body), body.model


def ranked(payload: Rerank, scores: Sequence[Scores], *, repeat: bool) -> list[RankedDocument]:
    """Return documents in their order; ``repeat`` tells their texts again."""
    return [
        RankedDocument(index, score, DocumentBody(payload.documents[index]) if repeat else None)
        for index, score in ranking(payload, scores)
    ]


def _embed(body: EmbedBody) -> Embed:
    return Embed(
        texts=codec.texts(body.text),
        dimensions=body.dimensions or 0,
        truncate=bool(body.truncate),
    )


def _classify(body: ClassifyBody) -> Classify:
    return Classify(texts=codec.texts(body.text), labels=tuple(body.labels or ()))


def _rerank(body: RerankBody) -> Rerank:
    documents = (one if isinstance(one, str) else one.text for one in body.documents)
    return Rerank(query=body.query, documents=tuple(documents), top_n=body.top_n or 0)


OPERATIONS = (
    Operation("POST", "/v1/embed", embed, EmbedAnswer, EmbedBody),
    Operation("POST", "/v1/rerank", rerank, RerankAnswer, RerankBody),
    Operation("POST", "/v1/classify", classify, ClassifyAnswer, ClassifyBody),
)
