"""The codec of what places and compares texts, and of speech; pure, both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hexkey.tasks import ranking, verdict
from hexkey.types import Classify, Embed, Rerank, Transcribe, Vector
from hexkey.v1 import inference_pb2 as pb
from hexkey.wire.grpc.codec import segment, usage

if TYPE_CHECKING:
    from hexkey.types import Scores
    from hexkey.wire.answer import Answer
    from hexkey.wire.grpc.codec import Served


def embed(message: pb.EmbedRequest) -> Embed:
    """Decode."""
    return Embed(
        texts=tuple(message.text), dimensions=message.dimensions, truncate=message.truncate
    )


def rerank(message: pb.RerankRequest) -> Rerank:
    """Decode."""
    return Rerank(query=message.query, documents=tuple(message.documents), top_n=message.top_n)


def classify(message: pb.ClassifyRequest) -> Classify:
    """Decode."""
    return Classify(texts=tuple(message.text), labels=tuple(message.labels))


def transcribe(message: pb.TranscribeRequest) -> Transcribe:
    """Decode."""
    return Transcribe(
        audio=message.audio,
        language=message.language,
        prompt=message.prompt,
        timestamps=message.timestamps,
    )


def embed_response(served: Served, answer: Answer) -> pb.EmbedResponse:
    """Encode a whole answer."""
    vectors = cast("tuple[Vector, ...]", answer.found)
    return pb.EmbedResponse(
        id=served.id,
        model=served.model,
        embeddings=(pb.Embedding(index=one.index, values=one.values) for one in vectors),
        usage=usage(answer.usage),
        notes=served.notes,
    )


def rerank_response(served: Served, answer: Answer) -> pb.RerankResponse:
    """Encode a whole answer."""
    ranked = ranking(cast("Rerank", served.payload), cast("tuple[Scores, ...]", answer.found))
    return pb.RerankResponse(
        id=served.id,
        model=served.model,
        results=(pb.RankedDocument(index=index, relevance_score=score) for index, score in ranked),
        usage=usage(answer.usage),
        notes=served.notes,
    )


def classify_response(served: Served, answer: Answer) -> pb.ClassifyResponse:
    """Encode a whole answer."""
    payload = cast("Classify", served.payload)
    return pb.ClassifyResponse(
        id=served.id,
        model=served.model,
        classifications=(
            pb.Classification(
                index=found.index,
                scores=(
                    pb.LabelScore(label=label, score=score)
                    for label, score in verdict(payload, found)
                ),
            )
            for found in cast("tuple[Scores, ...]", answer.found)
        ),
        usage=usage(answer.usage),
        notes=served.notes,
    )


def transcribe_response(served: Served, answer: Answer) -> pb.TranscribeResponse:
    """Encode a whole answer."""
    return pb.TranscribeResponse(
        id=served.id,
        model=served.model,
        text=answer.outputs[0].text.strip(),
        segments=map(segment, answer.segments),
        usage=usage(answer.usage),
        notes=served.notes,
    )
