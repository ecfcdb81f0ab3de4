"""What a typing session adds to a run: the newest request wins, and suggestions are remembered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hexkey.admission.latest import Latest
from hexkey.suggestions import Suggestion, Suggestions, question
from hexkey.types import Autocomplete, Delta, Finish, FinishReason, Usage

if TYPE_CHECKING:
    from hexkey.admission.latest import Claim
    from hexkey.config import AutocompleteConfig
    from hexkey.identity.quota import Reservation
    from hexkey.metrics import Metrics
    from hexkey.suggestions import Question
    from hexkey.types import Event, Request


class Sessions:
    """The typing sessions of one server."""

    def __init__(self, config: AutocompleteConfig, metrics: Metrics) -> None:
        self.config = config
        self.latest = Latest()
        self.suggestions = Suggestions(config)
        self._metrics = metrics
        metrics.suggestion_entries.set_function(lambda: len(self.suggestions))
        metrics.suggestion_bytes.set_function(lambda: self.suggestions.size)

    def configure(self, config: AutocompleteConfig) -> None:
        """Take over a new configuration."""
        self.config = self.suggestions.config = config

    def held(self, request: Request) -> Reservation | None:
        """Return what a request holds that this one would end."""
        payload = request.payload
        if not isinstance(payload, Autocomplete) or not self.config.latest_wins:
            return None
        return self.latest.held(request.tenant, payload.session)

    def begin(self, request: Request, model: str, hold: Reservation | None) -> Session | None:
        """Return the session's part of a request that its model will serve; it is the newest now.

        None for a request that names no session.
        """
        payload = request.payload
        if not isinstance(payload, Autocomplete) or not payload.session:
            return None
        latest = self.config.latest_wins
        claim = self.latest.claim(request.tenant, payload.session, hold) if latest else None
        asked = question(request, model) if self.config.cache_entries else None
        return Session(self, claim, asked)

    def recall(self, asked: Question | None) -> Suggestion | None:
        """Return what is left of an earlier suggestion; counts whether there was something."""
        if asked is None:
            return None
        found = self.suggestions.find(asked, asyncio.get_running_loop().time())
        self._metrics.suggestions.labels("hit" if found else "miss").inc()
        return found


class Session:
    """One request of a session, from when it is known to be good until it has settled."""

    __slots__ = ("_asked", "_claim", "_parts", "_reason", "_sessions")

    def __init__(self, sessions: Sessions, claim: Claim | None, asked: Question | None) -> None:
        self._sessions = sessions
        self._claim = claim
        self._asked = asked
        self._parts: list[str] = []
        self._reason = FinishReason.STOP

    def recall(self) -> Recalled | None:
        """Return the answer if it is known already."""
        found = self._sessions.recall(self._asked)
        if found is None:
            return None
        self._asked = None
        return Recalled(found)

    async def pause(self) -> None:
        """Wait whether more is typed, for as long as the operator wants; the newest waits too.

        At least one turn of the loop, in which the request that this one ended leaves its queue.
        """
        await asyncio.sleep(self._sessions.config.debounce_ms / 1000)

    def note(self, event: Event) -> None:
        """Take in one event; what is complete is remembered."""
        if self._asked is None:
            return
        if type(event) is Delta:
            self._parts.append(event.text)
        elif type(event) is Finish:
            self._reason = event.reason
        elif type(event) is Usage and (text := "".join(self._parts)):
            given = Suggestion(text, self._reason)
            now = asyncio.get_running_loop().time()
            self._sessions.suggestions.store(self._asked, given, now)

    def close(self, error: BaseException | None) -> BaseException | None:
        """End the request's part in the session; see ``Claim.close``."""
        return error if self._claim is None else self._claim.close(error)


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
