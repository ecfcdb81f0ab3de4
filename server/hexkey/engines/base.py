"""What an engine is: a thing that takes work and makes it progress one step at a time.

An engine lives in its host process and is called by one thread only. It knows no socket, no wire
and no other request's owner. The host loop drives it::

    add* / cancel*  ->  step()  ->  add* / cancel*  ->  step()  -> …

so a request joins or leaves between two steps, which is what continuous batching is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    from hexkey.engines.lexicon import Lexed, Question
    from hexkey.types import HostEvent, ModelInfo, Payload, Terms

SPARE = 8
"""One in so many more than a batch holds, so that a place that falls free is taken in the next
step: what the front end sends in answer to a step's report is a step late."""

Computed = tuple[int, int, int]
"""(request id, tokens computed in this step with cache hits left out, tokens of context)."""


@dataclass(slots=True)
class StepReport:
    """What one step did.

    ``events`` holds, per request, what became known; a request settles with its ``Usage`` (all
    outputs complete) or its ``Failure``, once, as its last event. ``begin_ns`` and ``done_ns``
    are ``time.monotonic_ns()`` around the computation. ``kv_used`` is the share, 0 to 1, of the KV
    cache that requests hold, where the engine has one.
    """

    begin_ns: int
    done_ns: int
    computed: list[Computed] = field(default_factory=list)
    events: list[tuple[int, list[HostEvent]]] = field(default_factory=list)
    kv_used: float | None = None


class EngineLost(Exception):  # noqa: N818 - it is what happened, and no mistake of anybody's
    """The process behind an engine has ended.

    The host ends without a word, so that a request of which nothing was seen moves to the next.
    """


class Intake(Protocol):
    """One loaded model and the requests in it. Called from the host's one thread only."""

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

    def close(self) -> None:
        """Free everything."""


class Engine(Intake, Protocol):
    """A model that computes in the host's own thread."""

    def step(self) -> StepReport:
        """Compute once for what is in; called only while ``running``.

        An exception means that the engine's state is lost: every request in it fails and the
        host ends, to be started anew.
        """


@runtime_checkable
class AsyncEngine(Intake, Protocol):
    """A model that another process computes, step after step, as long as there are requests."""

    @property
    def workers(self) -> tuple[int, ...]:
        """Process ids of those that compute on the CPU; a silence in which they do is no hang.

        Whoever waits beside a device, or for another process, is none of them.
        """

    async def start(self) -> None:
        """Warm up; awaited once, before the first request."""

    async def step(self) -> StepReport:
        """Wait for the next step and tell what it did; raises as ``Engine.step`` does."""

    async def ping(self) -> None:
        """Return once the process that computes has answered between two steps."""


@runtime_checkable
class Adaptable(AsyncEngine, Protocol):
    """An engine that takes adapters of its model in and out of memory while it serves."""

    async def adapt(self, adapter: str, *, hold: bool) -> None:
        """Return once an adapter is held, or, all that it had being done, is held no longer.

        Raises ``ModelError`` where it cannot be taken.
        """


@runtime_checkable
class Choosy(Intake, Protocol):
    """An engine that has adapters, priorities or a cache to keep apart; others need no terms."""

    def add_on(self, terms: Terms, request_id: int, payload: Payload) -> None:
        """Take a request as ``add`` does, on these terms."""


@runtime_checkable
class Patient(Engine, Protocol):
    """An engine that can leave what it made unread, which is cheaper than to look at each token."""

    def skim(self, enough: Callable[[], bool]) -> list[StepReport]:
        """Step, while nobody waits for more of any answer, until ``enough`` or a request ends.

        At least once. What became known may stay for a later step to tell, except an end.
        """


@runtime_checkable
class Exposing(Protocol):
    """An engine that keeps metrics of its own."""

    def exposition(self) -> bytes:
        """Return them in Prometheus text format; called between two steps, so it is quick."""


@runtime_checkable
class Lexical(Protocol):
    """An engine that tells of its model's tokens."""

    def lex(self, question: Question) -> Lexed:
        """Answer, called between two steps; raises ``ServeError`` for what it cannot."""


@dataclass(frozen=True, slots=True)
class LoadContext:
    """What an engine's factory gets: the model's files and the operator's options.

    ``adapters`` are folders by the adapters' names.
    """

    model: str
    folder: Path
    options: Mapping[str, object]
    progress: Callable[[str], None]
    adapters: Mapping[str, Path] = field(default_factory=dict)


Factory = Callable[[LoadContext], Engine | AsyncEngine]
