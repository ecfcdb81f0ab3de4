"""hexkey's own ``POST /v1/transcribe``; OpenAI's way to ask for the same is ``openai_audio``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from hexkey.types import Transcribe
from hexkey.wire.http import codec
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.runs import served_by, spoken, stream
from hexkey.wire.http.schemas import STREAM, SegmentAnswer, TaskEvent, TaskFields, UsageAnswer
from hexkey.wire.http.taskevents import TaskEvents, segment_of

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange


class TranscribeBody(TaskFields, kw_only=True):
    """Asks for the text of what is said in audio."""

    audio: Annotated[bytes, Meta(description="A file in base64: WAV, FLAC, MP3 or OGG.")]
    language: Annotated[
        str | None, Meta(description="Language code; the model finds out where left out.")
    ] = None
    prompt: Annotated[str | None, Meta(description="Text before, or words to expect.")] = None
    timestamps: Annotated[bool | None, Meta(description="Tell when what was said.")] = None
    stream: Annotated[bool | None, STREAM] = None


class TranscribeAnswer(Struct):
    """The text of one request's audio; the segments, where asked for, hold the same text."""

    id: str
    model: str
    text: str
    segments: list[SegmentAnswer]
    usage: UsageAnswer
    notes: tuple[str, ...]


_BODY = msgspec.json.Decoder(TranscribeBody)
_NAMES = {"file": "audio"}


async def transcribe(exchange: Exchange, service: Service) -> None:
    """Write down what is said in audio."""
    body = codec.decode(_BODY, exchange.body)
    run = service.run(exchange.request(_payload(body), body.model, codec.wishes(body)))
    with codec.naming(_NAMES):
        if body.stream:
            await stream(exchange, run, TaskEvents(exchange.id, run))
            return
        text, segments, usage = await spoken(exchange, run)
    answer = TranscribeAnswer(
        exchange.id, run.model, text, [segment_of(one) for one in segments],
        codec.usage(usage), run.notes,
    )  # fmt: skip
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


def transcribe_of(data: bytes) -> tuple[Transcribe, str | None]:
    """Return what core is asked for, and the model named."""
    body = codec.decode(_BODY, data)
    return _payload(body), body.model


def _payload(body: TranscribeBody) -> Transcribe:
    return Transcribe(
        audio=body.audio,
        language=body.language or "",
        prompt=body.prompt or "",
        timestamps=bool(body.timestamps),
    )


OPERATIONS = (
    Operation("POST", "/v1/transcribe", transcribe, TranscribeAnswer, TranscribeBody, TaskEvent),
)
