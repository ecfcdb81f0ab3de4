"""A whole answer, gathered from the events of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hexkey.types import Delta, Finish, FinishReason, Scores, Segment, Usage, Vector

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from hexkey.types import Event


@dataclass(frozen=True, slots=True)
class Output:
    """One finished output; outputs are ordered by the index their events carried."""

    text: str
    reason: FinishReason


@dataclass(frozen=True, slots=True)
class Answer:
    """Every output of a request, and what it took.

    ``found`` are vectors or scores by index, ``segments`` what was said when.
    """

    outputs: tuple[Output, ...]
    usage: Usage
    found: tuple[Vector | Scores, ...] = ()
    segments: tuple[Segment, ...] = ()


@dataclass(slots=True)
class _Gathering:
    pieces: dict[int, list[str]] = field(default_factory=dict)
    reasons: dict[int, FinishReason] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    found: dict[int, Vector | Scores] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)


async def gather(events: AsyncIterable[Event]) -> Answer:
    """Read ``events`` to their end; raises what reading them raises."""
    got = _Gathering()
    async for event in events:
        if type(event) is Delta:
            got.pieces.setdefault(event.index, []).append(event.text)
        elif type(event) is Finish:
            got.reasons[event.index] = event.reason
        elif type(event) is Usage:
            got.usage = event
        elif type(event) is Segment:
            got.segments.append(event)
        elif isinstance(event, Vector | Scores):
            got.found[event.index] = event
    outputs = (
        Output("".join(got.pieces.get(index, ())), reason)
        for index, reason in sorted(got.reasons.items())
    )
    found = (one for _, one in sorted(got.found.items()))
    return Answer(tuple(outputs), got.usage, tuple(found), tuple(got.segments))
