"""``POST /v1/embeddings``: vectors as OpenAI's clients ask for them.

Source: the ``openai`` client, which asks for base64 unless told otherwise.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from hexkey.errors import invalid
from hexkey.types import Embed, Vector
from hexkey.wire.http import codec
from hexkey.wire.http.openai_schemas import Prompt
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.retrieval_schemas import DIMENSIONS
from hexkey.wire.http.runs import found, served_by
from hexkey.wire.http.schemas import MODEL, CostDetails

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange


class EmbeddingsBody(Struct):
    """Asks for vectors; ``dimensions`` null keeps all of each."""

    input: Annotated[
        Prompt, Meta(description="Text, token ids, or a list of either; one kind within a list.")
    ]
    model: Annotated[str | None, MODEL] = None
    encoding_format: Annotated[
        Literal["float", "base64"] | None,
        Meta(description="base64 is that of little-endian float32."),
    ] = None
    dimensions: Annotated[int | None, DIMENSIONS] = None


class EmbeddingObject(Struct):
    """The vector of the input at ``index``."""

    embedding: tuple[float, ...] | str
    index: int
    object: Literal["embedding"] = "embedding"


class EmbeddingUsage(Struct):
    """What a request took, in tokens; its cost if exposed."""

    prompt_tokens: int
    total_tokens: int
    cost: float | UnsetType = UNSET
    cost_details: CostDetails | UnsetType = UNSET


class EmbeddingList(Struct):
    """The vectors of one request, in the order of its inputs."""

    data: list[EmbeddingObject]
    model: str
    usage: EmbeddingUsage
    object: Literal["list"] = "list"


_BODY = msgspec.json.Decoder(EmbeddingsBody)


async def embeddings(exchange: Exchange, service: Service) -> None:
    """Place texts in a model's space of meanings."""
    body = codec.decode(_BODY, exchange.body)
    run = service.run(exchange.request(_payload(body), body.model))
    with codec.naming({"text": "input"}):
        vectors, usage = await found(exchange, run, Vector)
    packed = body.encoding_format == "base64"
    answer = EmbeddingList(
        data=[
            EmbeddingObject(b64encode(one.data).decode() if packed else one.values, one.index)
            for one in vectors
        ],
        model=run.model,
        usage=EmbeddingUsage(usage.input_tokens, usage.input_tokens, *codec.cost(usage.cost)),
    )
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


def _payload(body: EmbeddingsBody) -> Embed:
    given: list[Any] = body.input if isinstance(body.input, list) else [body.input]
    dimensions = body.dimensions or 0
    if given and all(isinstance(one, int) for one in given):
        given = [given]
    texts = tuple(one for one in given if isinstance(one, str))
    tokens = tuple(tuple(one) for one in given if isinstance(one, list))
    if len(texts) + len(tokens) != len(given) or (texts and tokens):
        raise invalid("input mixes texts and token ids; send one kind", "input")
    return Embed(texts=texts, tokens=tokens, dimensions=dimensions)


OPERATIONS = (Operation("POST", "/v1/embeddings", embeddings, EmbeddingList, EmbeddingsBody),)
