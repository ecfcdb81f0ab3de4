"""What a host has taken and not yet settled, and the frames that tell of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hexkey.engines.base import Choosy, Exposing, Lexical
from hexkey.engines.failures import failure_of
from hexkey.engines.frames import Cancel, Exposition, Scrape, Step, Submit, Told
from hexkey.errors import ServeError, invalid
from hexkey.types import Failure, HostEvent, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hexkey.engines.base import Intake, StepReport
    from hexkey.engines.frames import Ask, ToHost
    from hexkey.engines.lexicon import Question, Reply

Events = tuple[int, list[HostEvent]]


class Docket:
    """Keeps the promise that every request settles exactly once, and none after its cancel."""

    def __init__(self, engine: Intake, incarnation: int) -> None:
        self._engine = engine
        self._choosy = engine if isinstance(engine, Choosy) else None
        self._incarnation = incarnation
        self._live: set[int] = set()
        # Of the live ones those that are read when they are whole; true once one has news.
        self._whole: dict[int, bool] = {}

    def take(self, message: ToHost) -> list[Events]:
        """Hand a message to the engine; return the refusal, if it refused a request."""
        if isinstance(message, Submit):
            try:
                self._add(message)
            except Exception as error:  # noqa: BLE001 - one odd input must not fail its batch-mates
                return [(message.id, [failure_of(error)])]
            self._live.add(message.id)
            if message.whole:
                self._whole[message.id] = False
        elif isinstance(message, Cancel) and message.id in self._live:
            self._forget(message.id)
            self._engine.cancel(message.id)
        return []

    def _add(self, message: Submit) -> None:
        if self._choosy is not None:
            self._choosy.add_on(message.terms, message.id, message.payload)
        else:
            self._engine.add(message.id, message.payload)

    def frame(self, report: StepReport, refused: Sequence[Events] = ()) -> Step:
        """The frame of a step, with refusals that were not told yet."""
        events = list(refused)
        for request_id, batch in report.events:
            if request_id not in self._live or not batch:
                continue
            if isinstance(batch[-1], Usage | Failure):
                self._forget(request_id)
            events.append((request_id, batch))
        return Step(
            self._incarnation,
            report.begin_ns,
            report.done_ns,
            self._engine.running,
            report.computed,
            events,
            report.kv_used,
        )

    @property
    def patient(self) -> bool:
        """Whether all that is in is read when it is whole."""
        return len(self._whole) == len(self._live)

    def can_wait(self, step: Step) -> bool:
        """Tell whether nobody needs a frame before the next one; asked once of each.

        The first news of a request never wait: they tell how long it took to begin.
        """
        waits = True
        for request_id, _ in step.events:
            waits = self._whole.get(request_id, False) and waits
            if request_id in self._whole:
                self._whole[request_id] = True
        return waits

    def _forget(self, request_id: int) -> None:
        self._live.discard(request_id)
        self._whole.pop(request_id, None)

    def pulse(self, refused: Sequence[Events] = ()) -> Step:
        """A frame in which nothing was computed."""
        now = time.monotonic_ns()
        return Step(self._incarnation, now, now, self._engine.running, [], list(refused))

    def reply(self, message: Scrape | Ask) -> Exposition | Told:
        """The frame with the engine's own metrics, or what it says of its model's tokens."""
        engine = self._engine
        if isinstance(message, Scrape):
            return Exposition(engine.exposition() if isinstance(engine, Exposing) else b"")
        return Told(message.id, self._lex(message.question))

    def _lex(self, question: Question) -> Reply:
        try:
            if not isinstance(self._engine, Lexical):
                raise invalid("this model does not tell of its tokens", "model")
            return self._engine.lex(question)
        except ServeError as error:
            return Failure(error.code, error.message, error.param)
        except Exception as error:  # noqa: BLE001 - one odd text must not fail those in work
            return failure_of(error)

    def failed(self, error: Exception) -> Step:
        """The frame that settles everything because the engine raised."""
        failures: list[Events] = [(request_id, [failure_of(error)]) for request_id in self._live]
        self._live.clear()
        self._whole.clear()
        now = time.monotonic_ns()
        return Step(self._incarnation, now, now, 0, [], failures)
