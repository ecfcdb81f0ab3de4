"""JSON of what places and compares texts: hexkey's own embed, rerank and classify.

As in ``schemas``: names are those of protos/hexkey/v1, unknown fields are ignored, null is unset.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from hexkey import validation
from hexkey.wire.http.schemas import TaskFields, UsageAnswer, bounded

DIMENSIONS = bounded(
    0, validation.MAX_DIMENSIONS, "Keep this many numbers of each vector; 0 keeps all."
)
TRUNCATE = Meta(description="Drop the end of a text too long for the model, instead of refusing.")
TOP_N = bounded(0, validation.MAX_INPUTS, "Return this many of the best; 0 returns all.")
QUERY = Meta(description="What the documents are to answer.")


class EmbedBody(TaskFields, kw_only=True):
    """Asks for the vectors of texts."""

    text: Annotated[str | list[str], Meta(description="One text or several.")]
    dimensions: Annotated[int | None, DIMENSIONS] = None
    truncate: Annotated[bool | None, TRUNCATE] = None


class EmbeddingAnswer(Struct):
    """The vector of the text at ``index``, of unit length."""

    index: int
    values: tuple[float, ...]


class EmbedAnswer(Struct):
    """The vectors of one request, in the order of its texts."""

    id: str
    model: str
    embeddings: list[EmbeddingAnswer]
    usage: UsageAnswer
    notes: tuple[str, ...]


class DocumentBody(Struct):
    """A document as some clients wrap it."""

    text: str


class RerankBody(TaskFields, kw_only=True):
    """Asks for an order of documents."""

    query: Annotated[str, QUERY]
    documents: Annotated[list[str | DocumentBody], Meta(description="What to put in order.")]
    top_n: Annotated[int | None, TOP_N] = None
    return_documents: Annotated[bool | None, Meta(description="Repeat the documents.")] = None


class RankedDocument(Struct, omit_defaults=True):
    """The place of the document at ``index``; scores lie between 0 and 1."""

    index: int
    relevance_score: float
    document: DocumentBody | None = None


class RerankAnswer(Struct):
    """The order of one request's documents, best first."""

    id: str
    model: str
    results: list[RankedDocument]
    usage: UsageAnswer
    notes: tuple[str, ...]


class ClassifyBody(TaskFields, kw_only=True):
    """Asks which labels fit texts."""

    text: Annotated[str | list[str], Meta(description="One text or several.")]
    labels: Annotated[
        list[str] | None,
        Meta(description="What to choose from; the model's own where left out."),
    ] = None


class LabelScore(Struct):
    """How well a label fits; a text's scores sum to 1."""

    label: str
    score: float


class Classification(Struct):
    """The labels of the text at ``index``, best first."""

    index: int
    scores: list[LabelScore]


class ClassifyAnswer(Struct):
    """What the texts of one request were found to be, in their order."""

    id: str
    model: str
    classifications: list[Classification]
    usage: UsageAnswer
    notes: tuple[str, ...]
