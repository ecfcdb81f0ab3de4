"""What a typing session adds to a run: the newest request wins, and nothing said is said twice.

What was suggested before is remembered, and what is being written is taken over where it may be
what the newer request asks for.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING

from hexkey.admission.latest import Latest
from hexkey.drafts import Draft, Reading
from hexkey.pace import Pace
from hexkey.suggestions import Suggestion, Suggestions, question
from hexkey.types import Autocomplete, Delta, Finish, FinishReason, Usage

if TYPE_CHECKING:
    from hexkey.admission.latest import Claim, Key
    from hexkey.charge import Charge
    from hexkey.config import AutocompleteConfig
    from hexkey.drafts import Source
    from hexkey.identity.quota import Reservation
    from hexkey.metrics import Metrics
    from hexkey.suggestions import Question
    from hexkey.types import Event, Request

MAX_PACES = 4096
"""Sessions whose pace is remembered, those that typed last."""
TOGETHER_S = 2.0
"""Sessions that typed within this time count as typing at the same time."""


class Sessions:
    """The typing sessions of one server."""

    def __init__(self, config: AutocompleteConfig, metrics: Metrics) -> None:
        self.config = config
        self.version = 0
        self.latest = Latest()
        self.suggestions = Suggestions(config)
        self._metrics = metrics
        self._newest: dict[Key, Session] = {}
        self._paces: OrderedDict[Key, Pace] = OrderedDict()
        metrics.suggestion_entries.set_function(lambda: len(self.suggestions))
        metrics.suggestion_bytes.set_function(lambda: self.suggestions.size)

    def configure(self, config: AutocompleteConfig) -> None:
        """Take over a new configuration; what models said before it is not said again."""
        self.config = self.suggestions.config = config
        self.version += 1
        self.suggestions.clear()

    def held(self, request: Request) -> Reservation | None:
        """Return what a request holds that this one would end."""
        payload = request.payload
        if not isinstance(payload, Autocomplete) or not self.config.latest_wins:
            return None
        return self.latest.held(request.tenant, payload.session)

    def begin(self, request: Request, model: str, hold: Reservation | None) -> Session | None:
        """Return the session's part of a request that its model will serve; it is the newest now.

        None for a request that names no session. Call ``Session.known`` before anything else may
        run: what the older request had under way is gone after that.
        """
        payload = request.payload
        if not isinstance(payload, Autocomplete) or not payload.session:
            return None
        key = (request.tenant, payload.session)
        session = Session(self, key, request, model)
        if self.config.latest_wins:
            session.claim = self.latest.claim(*key, hold)
            session.older, self._newest[key] = self._newest.get(key), session
        return session

    def pace(self, key: Key) -> Pace:
        """Return how fast somebody types."""
        pace = self._paces.setdefault(key, Pace())
        self._paces.move_to_end(key)
        if len(self._paces) > MAX_PACES:
            self._paces.popitem(last=False)
        return pace

    def company(self, now: float) -> bool:
        """Return whether, beside whoever typed last, somebody types."""
        others = islice(reversed(self._paces.values()), 1, 2)
        return any(now - other.last < TOGETHER_S for other in others)

    def left(self, key: Key, session: Session) -> None:
        """A request of a session has ended."""
        if self._newest.get(key) is session:
            del self._newest[key]

    def count(self, result: str) -> None:
        """Count what became of a completion that might have been known."""
        self._metrics.suggestions.labels(result).inc()


class Session:
    """One request of a session, from when it is known to be good until it has settled."""

    __slots__ = (
        "_asked",
        "_begun",
        "_company",
        "_deadline",
        "_ends",
        "_key",
        "_model",
        "_pace",
        "_parts",
        "_reason",
        "_sessions",
        "at_model",
        "claim",
        "older",
        "reading",
        "replaces",
    )

    def __init__(self, sessions: Sessions, key: Key, request: Request, model: str) -> None:
        self._sessions = sessions
        self._key = key
        self._model = model
        self._deadline = request.deadline
        self._asked: Question | None = question(request, model, sessions.version)
        self._parts: list[str] = []
        self._reason = FinishReason.STOP
        self._begun = asyncio.get_running_loop().time()
        self._pace = sessions.pace(key)
        self._pace.key(self._begun)
        self._company = sessions.company(self._begun)
        self.claim: Claim | None = None
        self.older: Session | None = None
        self.reading: Reading | None = None
        self._ends: Reading | None = None
        self.at_model = False
        """Whether it waits or runs at its model."""
        self.replaces = False
        """Whether the request that it superseded did so, and still holds its place."""

    def known(self) -> Recalled | Reading | None:
        """Return the answer if it is remembered, or in the making for the request before."""
        older, self.older = self.older, None
        self._ends = None if older is None else older.reading
        self.replaces = older is not None and older.at_model
        if self._asked is None:
            return None
        if self._sessions.config.cache_entries:
            found = self._sessions.suggestions.find(self._asked, self._begun)
            self._sessions.count("hit" if found else "miss")
            if found is not None:
                self._asked = None
                return Recalled(found)
        return self._take_over(older) if older is not None else None

    def _take_over(self, older: Session) -> Reading | None:
        reading = older.reading
        if self._asked is None or older._asked is None or reading is None:
            return None
        typed = self._asked.typed_since(older._asked)
        if typed is None or reading.model != self._model:
            return None
        self.reading = reading.pass_on(typed, self._deadline)
        if self.reading is not None:
            self._ends = None
            self._sessions.count("joined")
            self.at_model = True
        return self.reading

    def diverged(self) -> None:
        """What was taken over turned out to be another answer."""
        self._sessions.count("diverged")
        self.reading = None

    async def pause(self, expected_s: float, at_model: int) -> None:
        """Wait whether more is typed; the newest waits too.

        At least one turn of the loop, in which the request that this one ended leaves its queue.
        ``expected_s`` is how long the answer is expected to take, ``at_model`` how many requests
        are at its model. One that nobody else wants is not held back: it would be idle.
        """
        if self._ends is not None:
            # It is ended already; here its place at the model is waited for.
            await self._ends.close()
        config = self._sessions.config
        hold_s = config.debounce_ms / 1000
        if self._company or at_model > self.replaces:
            hold_s = max(hold_s, self._pace.hold_s(expected_s, config.adaptive_debounce_ms / 1000))
        left_s = self._begun + hold_s - asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, left_s))

    @property
    def drafts(self) -> bool:
        """Whether its answer can become a newer request's, so that a ``Draft`` must read it."""
        return self.claim is not None and self._asked is not None

    def begins(self, model: str) -> None:
        """An attempt begins; nothing that an earlier one said is part of the answer."""
        self._parts.clear()
        if model != self._model:
            # The one that was asked for was full or failed, and would say something else.
            self._asked = self.reading = None

    def draft(self, source: Source, charge: Charge) -> Reading:
        """Return the reading of an attempt that has begun, without a deadline of its own."""
        self.reading = Reading(Draft(source, self._model, charge, self._deadline))
        return self.reading

    def note(self, event: Event) -> None:
        """Take in one event; what is complete is remembered."""
        if self._asked is None:
            return
        if type(event) is Delta:
            self._parts.append(event.text)
        elif type(event) is Finish:
            self._reason = event.reason
        elif type(event) is Usage and self._sessions.config.cache_entries:
            text = "".join(self._parts)
            if text:
                now = asyncio.get_running_loop().time()
                self._sessions.suggestions.store(self._asked, Suggestion(text, self._reason), now)

    def close(self, error: BaseException | None) -> BaseException | None:
        """End the request's part in the session; see ``Claim.close``."""
        self._sessions.left(self._key, self)
        return error if self.claim is None else self.claim.close(error)


class Recalled:
    """A remembered suggestion as events; it takes the place of an ``Attempt``."""

    def __init__(self, given: Suggestion) -> None:
        self._events: list[Event] = [Usage(), Finish(0, given.reason), Delta(0, given.text)]

    async def next_event(self) -> Event:
        """Return the next event."""
        if not self._events:
            raise StopAsyncIteration
        return self._events.pop()

    async def close(self) -> None:
        """Nothing is held."""
