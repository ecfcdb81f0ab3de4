"""A whole answer, gathered from the events of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from hexkey.types import Delta, Finish, FinishReason, Scores, Segment, TokenLogprob, Usage, Vector

if TYPE_CHECKING:
    from hexkey.types import Event


class Events(Protocol):
    """What a run tells, one after the other; ``Usage`` is the last."""

    async def __anext__(self) -> Event:
        """Return the next event."""


class Output:
    """One output; ``stop`` is the stop string that ended it, if one did."""

    __slots__ = ("_parts", "logprobs", "reason", "stop")

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.logprobs: list[TokenLogprob] = []
        self.reason = FinishReason.STOP
        self.stop = ""

    def add(self, event: Delta) -> None:
        """Append a delta."""
        self._parts.append(event.text)
        self.logprobs += event.logprobs

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self._parts)


class Answer(msgspec.Struct, frozen=True):
    """Every output of a request, and what it took.

    Outputs are ordered by the index their events carried, as are the vectors or scores ``found``;
    ``segments`` tell what was said when.
    """

    outputs: tuple[Output, ...]
    usage: Usage
    found: tuple[Vector | Scores, ...] = ()
    segments: tuple[Segment, ...] = ()


async def gather(events: Events) -> Answer:
    """Read ``events`` to their end; raises what reading them raises."""
    outputs: dict[int, Output] = {}
    found: dict[int, Vector | Scores] = {}
    segments: list[Segment] = []
    while type(event := await events.__anext__()) is not Usage:
        if type(event) is Delta:
            outputs.setdefault(event.index, Output()).add(event)
        elif type(event) is Finish:
            output = outputs.setdefault(event.index, Output())
            output.reason, output.stop = event.reason, event.stop
        elif type(event) is Segment:
            segments.append(event)
        elif isinstance(event, Vector | Scores):
            found[event.index] = event
    return Answer(
        tuple(output for _, output in sorted(outputs.items())),
        event,
        tuple(one for _, one in sorted(found.items())),
        tuple(segments),
    )
