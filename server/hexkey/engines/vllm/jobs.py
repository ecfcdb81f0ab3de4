"""A caller's request as EngineCore works on it: one sequence for each thing that is to be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vllm.v1.engine import EngineCoreOutput, EngineCoreRequest

    from hexkey.engines.lexicon import Lexed, Question
    from hexkey.types import HostEvent, ModelInfo, Payload, Terms, Usage

AHEAD = 32
"""Sequences of one job in EngineCore at a time, so that a library does not keep out a line."""


STEP = "hexkey.step"
"""Request id of the output that carries an account: ``{begin_ns, done_ns, computed}``."""


class Part(Protocol):
    """One sequence."""

    def take(self, output: EngineCoreOutput) -> tuple[list[HostEvent], bool]:
        """Take what a step gave; return what is known by it, and whether this part is complete."""

    def coarse(self, output: EngineCoreOutput) -> tuple[int, int]:
        """(tokens computed, context) of the step that gave this, as far as the output tells."""


class Kind(Protocol):
    """What a model does of the tasks there are: turns payloads into parts."""

    info: ModelInfo

    def warm_ups(self) -> list[Payload]:
        """Payloads that take every path once, since the first use of one may compile."""

    def job(self, job_id: int, payload: Payload, terms: Terms) -> Job:
        """Return what is to be done; ``ServeError`` for what this model cannot do."""


@runtime_checkable
class Wordy(Kind, Protocol):
    """A kind whose models tell of their tokens."""

    def lex(self, question: Question) -> Lexed:
        """Answer; ``ServeError`` for what it cannot."""


@dataclass(slots=True, eq=False)
class Job:
    """A request under way.

    ``parts`` are made when their turn comes, which may raise ``ServeError``; None among them means
    that one under way must be complete first. ``live`` are those in EngineCore, by the names it
    knows them by. ``usage`` tells what was taken so far.
    """

    id: int
    parts: Iterator[tuple[Part, EngineCoreRequest] | None]
    usage: Callable[[], Usage]
    live: set[str] = field(default_factory=set)
    dry: bool = False
    adapter: str = ""

    def more(self) -> Iterator[tuple[Part, EngineCoreRequest]]:
        """Yield parts while there is room for more of them."""
        while not self.dry and len(self.live) < AHEAD:
            try:
                made = next(self.parts)
            except StopIteration:
                self.dry = True
                return
            if made is None:
                return
            self.live.add(made[1].request_id)
            yield made

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.dry and not self.live
