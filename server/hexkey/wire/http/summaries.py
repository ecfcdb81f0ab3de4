"""hexkey's own ``POST /v1/summarize``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from hexkey.types import FinishReason, Length, Summarize
from hexkey.wire.http import codec
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.runs import collect, served_by, stream
from hexkey.wire.http.schemas import Generating, TaskEvent, UsageAnswer
from hexkey.wire.http.taskevents import TaskEvents

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange


class SummarizeBody(Generating, kw_only=True):
    """Asks for a summary of a text."""

    text: Annotated[str, Meta(description="What to summarize.")]
    length: Annotated[Length | None, Meta(description="A wish; max_tokens is a bound.")] = None


class Summary(Struct):
    """One summary; ``n`` asks for several."""

    text: str
    finish_reason: FinishReason


class SummarizeAnswer(Struct):
    """The summaries of one text."""

    id: str
    model: str
    summaries: list[Summary]
    usage: UsageAnswer
    notes: tuple[str, ...]


_BODY = msgspec.json.Decoder(SummarizeBody)


async def summarize(exchange: Exchange, service: Service) -> None:
    """Say in few words what a text says."""
    body = codec.decode(_BODY, exchange.body)
    payload = _payload(body)
    run = service.run(exchange.request(payload, body.model, codec.wishes(body)))
    if body.stream:
        await stream(exchange, run, TaskEvents(exchange.id, run))
        return
    outputs, usage = await collect(exchange, run)
    summaries = [Summary(output.text, output.reason) for output in outputs]
    answer = SummarizeAnswer(exchange.id, run.model, summaries, codec.usage(usage), run.notes)
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


def summarize_of(data: bytes) -> tuple[Summarize, str | None]:
    """Return what core is asked for, and the model named."""
    body = codec.decode(_BODY, data)
    return _payload(body), body.model


def _payload(body: SummarizeBody) -> Summarize:
    return Summarize(
        text=body.text, length=body.length or Length.MEDIUM, sampling=codec.sampling(body)
    )


OPERATIONS = (
    Operation("POST", "/v1/summarize", summarize, SummarizeAnswer, SummarizeBody, TaskEvent),
)
