"""The events of hexkey's own streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hexkey.wire.http import codec
from hexkey.wire.http.schemas import LanguagePair, SegmentAnswer, StartEvent, TaskEvent
from hexkey.wire.http.stream import DONE

if TYPE_CHECKING:
    from hexkey.polyglot import Polyglot
    from hexkey.routing import Pair
    from hexkey.run import Run
    from hexkey.types import Delta, Finish, Segment, Usage

_encode = msgspec.json.encode


class TaskEvents:
    """Writes the events of hexkey's own streams; see ``schemas.TaskEvent``."""

    __slots__ = ("_id", "_run", "_texts")

    def __init__(self, request_id: str, run: Run | Polyglot, texts: int = 1) -> None:
        self._id = request_id
        self._run = run
        self._texts = texts

    def start(self, model: str, notes: tuple[str, ...]) -> bytes:
        """Write who serves."""
        pair = self._run.pair
        start = StartEvent(self._id, model, notes)
        if self._run.cached:
            start.cached = True
        if pair is not None:
            start.pair = pair_of(pair)
        found = [self._run.spoken(index)[1] for index in range(self._texts)]
        sources = [one.language for one in found if one is not None]
        if sources:
            start.detected_source = sources[0]
        if len(set(sources)) > 1:
            start.detected_sources = sources
        return _event(TaskEvent(start=start))

    def delta(self, event: Delta) -> bytes:
        """Write more text; this runs per token, so it is put together from constant pieces."""
        return b'data: {"delta":{"index":%d,"text":%b,"token_count":%d}}\n\n' % (
            event.index,
            _encode(event.text),
            event.tokens,
        )

    def finish(self, event: Finish) -> bytes:
        """Write that one output is complete."""
        return b'data: {"finish":{"index":%d,"reason":"%b"}}\n\n' % (
            event.index,
            event.reason.encode(),
        )

    def segment(self, event: Segment) -> bytes:
        """Write what was said when."""
        return _event(TaskEvent(segment=segment_of(event)))

    def end(self, event: Usage) -> bytes:
        """Write what it took."""
        return _event(TaskEvent(usage=codec.usage(event))) + DONE


def _event(event: TaskEvent) -> bytes:
    return b"data: " + _encode(event) + b"\n\n"


def pair_of(pair: Pair | None) -> LanguagePair:
    """Return a direction of translation as an answer shows it."""
    return LanguagePair(pair.source, pair.target) if pair else LanguagePair("", "")


def segment_of(event: Segment) -> SegmentAnswer:
    """Return what was said in a part of the audio as an answer shows it."""
    return SegmentAnswer(event.start_s, event.end_s, event.text, event.language)
