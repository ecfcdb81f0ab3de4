"""``POST /v1/audio/transcriptions``, as OpenAI's clients send it: a form with a file.

Source: the ``openai`` client. ``gpt-4o-transcribe`` and its kind answer ``json`` and stream;
``whisper-1`` also answers ``text``, ``srt``, ``vtt`` and ``verbose_json``: here all do all.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from hexkey.errors import invalid
from hexkey.types import Transcribe, Usage
from hexkey.wire.http import codec, multipart
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.runs import served_by, spoken, stream
from hexkey.wire.http.schemas import MODEL, CostDetails
from hexkey.wire.http.stream import DONE, SSE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hexkey.service import Service
    from hexkey.types import Delta, Finish, Segment
    from hexkey.wire.http.exchange import Exchange

_PLAIN = (b"content-type", b"text/plain; charset=utf-8")
_SECOND_MS = 1000


class TranscriptionForm(Struct, kw_only=True):
    """Asks for the text of what is said in a file."""

    file: Annotated[bytes, Meta(description="WAV, FLAC, MP3 or OGG.")]
    model: Annotated[str | None, MODEL] = None
    language: Annotated[str | None, Meta(description="Language code.")] = None
    prompt: Annotated[str | None, Meta(description="Text before, or words to expect.")] = None
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"
    timestamp_granularities: Annotated[
        list[str] | None, Meta(description="Only segment is served.")
    ] = None
    stream: bool = False


class TranscriptionUsage(Struct):
    """What is counted: seconds of audio, begun ones whole; the cost if exposed."""

    seconds: int
    type: Literal["duration"] = "duration"
    cost: float | UnsetType = UNSET
    cost_details: CostDetails | UnsetType = UNSET


class Transcription(Struct):
    """All that was said."""

    text: str
    usage: TranscriptionUsage


class TranscriptionSegment(Struct):
    """What was said from ``start`` to ``end``, in seconds."""

    id: int
    start: float
    end: float
    text: str


class VerboseTranscription(Struct):
    """All that was said, and when; ``duration`` is that of the audio, in seconds."""

    language: str
    duration: float
    text: str
    segments: list[TranscriptionSegment]
    usage: TranscriptionUsage
    task: Literal["transcribe"] = "transcribe"


class TranscriptDelta(Struct):
    """More text of a stream."""

    delta: str
    type: Literal["transcript.text.delta"] = "transcript.text.delta"


class TranscriptDone(Struct):
    """The end of a stream: the whole text."""

    text: str
    usage: TranscriptionUsage
    type: Literal["transcript.text.done"] = "transcript.text.done"


_encode = msgspec.json.encode


async def transcriptions(exchange: Exchange, service: Service) -> None:
    """Write down what is said in a file."""
    form = multipart.decode(TranscriptionForm, exchange, files=("file",))
    if set(form.timestamp_granularities or ()) - {"segment"}:
        raise invalid("only segments have timestamps, not words", "timestamp_granularities")
    payload = Transcribe(
        audio=form.file,
        language=form.language or "",
        prompt=form.prompt or "",
        timestamps=form.response_format in {"srt", "verbose_json", "vtt"},
    )
    run = service.run(exchange.request(payload, form.model))
    if form.stream:
        await stream(exchange, run, _Transcript())
        return
    text, segments, usage = await spoken(exchange, run)
    headers = served_by(exchange, run.model, usage.cost)
    match form.response_format:
        case "text":
            await exchange.answer(200, text.encode() + b"\n", (_PLAIN, *headers))
        case "srt" | "vtt" as kind:
            written = _subtitles(segments, vtt=kind == "vtt")
            await exchange.answer(200, written.encode(), (_PLAIN, *headers))
        case "verbose_json":
            await exchange.json(_verbose(text, segments, usage), headers)
        case _:
            await exchange.json(Transcription(text, _usage(usage)), headers)


class _Transcript:
    """Writes the events of a stream."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def start(self, model: str, notes: tuple[str, ...]) -> bytes:  # noqa: ARG002 - an encoder's signature
        """Nothing comes before the first text."""
        return b""

    def delta(self, event: Delta) -> bytes:
        """Write more text."""
        self._parts.append(event.text)
        return SSE.frame(_encode(TranscriptDelta(event.text)))

    def finish(self, event: Finish) -> bytes:  # noqa: ARG002 - an encoder's signature
        """Nothing is told of it."""
        return b""

    def end(self, event: Usage) -> bytes:
        """Write the whole text."""
        done = TranscriptDone("".join(self._parts).strip(), _usage(event))
        return SSE.frame(_encode(done)) + DONE


def _usage(event: Usage) -> TranscriptionUsage:
    cost, details = codec.cost(event.cost)
    return TranscriptionUsage(ceil(event.audio_seconds), cost=cost, cost_details=details)


def _verbose(text: str, segments: Sequence[Segment], usage: Usage) -> VerboseTranscription:
    return VerboseTranscription(
        language=segments[0].language if segments else "",
        duration=usage.audio_seconds,
        text=text,
        segments=[
            TranscriptionSegment(number, one.start_s, one.end_s, one.text)
            for number, one in enumerate(segments)
        ],
        usage=_usage(usage),
    )


def _subtitles(segments: Sequence[Segment], *, vtt: bool) -> str:
    """Return segments as WebVTT or as SubRip has them."""
    comma = "." if vtt else ","
    lines = ["WEBVTT", ""] if vtt else []
    for number, one in enumerate(segments, 1):
        lines += [] if vtt else [str(number)]
        lines += [f"{_clock(one.start_s, comma)} --> {_clock(one.end_s, comma)}"]
        lines += [one.text.strip(), ""]
    return "\n".join(lines) + "\n"


def _clock(seconds: float, comma: str) -> str:
    whole, ms = divmod(round(seconds * _SECOND_MS), _SECOND_MS)
    minutes, second = divmod(whole, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}{comma}{ms:03}"


OPERATIONS = (
    Operation(
        "POST", "/v1/audio/transcriptions", transcriptions,
        (Transcription, VerboseTranscription), TranscriptionForm,
        (TranscriptDelta, TranscriptDone), media=multipart.TYPE.decode(), plain=True,
    ),
)  # fmt: skip
