"""What an engine is: a thing that takes work and makes it progress one step at a time.

An engine lives in its host process and is called by one thread only. It knows no socket, no wire
and no other request's owner. The host loop drives it::

    add* / cancel*  ->  step()  ->  add* / cancel*  ->  step()  -> …

so a request joins or leaves between two steps, which is what continuous batching is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from hexkey.types import HostEvent, ModelInfo, Payload

Computed = tuple[int, int, int]
"""(request id, tokens computed in this step with cache hits left out, tokens of context)."""


@dataclass(slots=True)
class StepReport:
    """What one step did.

    ``events`` holds, per request, what became known; a request settles with its ``Usage`` (all
    outputs complete) or its ``Failure``, once, as its last event. ``begin_ns`` and ``done_ns``
    are ``time.monotonic_ns()`` around the computation.
    """

    begin_ns: int
    done_ns: int
    computed: list[Computed] = field(default_factory=list)
    events: list[tuple[int, list[HostEvent]]] = field(default_factory=list)


class Engine(Protocol):
    """One loaded model. Every method is called from the host's one thread."""

    info: ModelInfo

    @property
    def running(self) -> int:
        """Requests added and not yet settled or cancelled."""

    def add(self, request_id: int, payload: Payload) -> None:
        """Take a request; it computes from the next step on.

        Raises ``ServeError`` for what this model cannot do (a prompt too long, say); the request
        then counts as settled with that error.
        """

    def cancel(self, request_id: int) -> None:
        """Forget a request and free what it holds; unknown ids are ignored."""

    def step(self) -> StepReport:
        """Compute once for what is in; called only while ``running``.

        An exception means that the engine's state is lost: every request in it fails and the
        host ends, to be started anew.
        """

    def close(self) -> None:
        """Free everything."""


@dataclass(frozen=True, slots=True)
class LoadContext:
    """What an engine's factory gets: the model's files and the operator's options."""

    model: str
    folder: Path
    options: Mapping[str, object]
    progress: Callable[[str], None]


Factory = Callable[[LoadContext], Engine]
