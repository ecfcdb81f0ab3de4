"""One try at serving a request: the legs of one route, each on its model, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from hexkey.errors import Code, ServeError
from hexkey.measures import Took
from hexkey.routing import units_taken
from hexkey.types import Began, Delta, Translate, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from hexkey.admission import Permit
    from hexkey.board import Board
    from hexkey.charge import Charge
    from hexkey.metering import Meter
    from hexkey.metrics import Metrics
    from hexkey.pool import Pool
    from hexkey.routing import Leg, Route
    from hexkey.types import Event, Request

log = structlog.get_logger("hexkey.engine")

ENGINE_FAILED = frozenset({Code.UNAVAILABLE, Code.INTERNAL})
"""Codes of what is the engine's fault, so that another may do better."""


class House(Protocol):
    """What an attempt needs of the service."""

    pool: Pool
    metrics: Metrics
    board: Board

    async def admit(self, request: Request, leg: Leg) -> Permit:
        """Return the permit to run one leg; ``ServeError`` where it is refused."""


class Attempt:
    """Runs one route. Its events are those of the last leg, then the usage of all legs together.

    Permits are had one at a time, so that no two requests can wait for each other's. ``close``
    gives back what is held, at whatever point it is called. ``elsewhere`` is asked where a model
    would keep the request waiting; True means that the caller would rather try another route.
    """

    __slots__ = ("_at", "_charge", "_elsewhere", "_house", "_leg", "_meter", "_request", "_route",
                 "_usage")  # fmt: skip

    def __init__(
        self,
        route: Route,
        request: Request,
        house: House,
        meter: Meter,
        elsewhere: Callable[[], bool],
    ) -> None:
        self._route = route
        self._request = request
        self._house = house
        self._meter = meter
        self._elsewhere = elsewhere
        self._at = 0
        self._usage = Usage()
        self._leg: _LegRun | None = None

    def begin(self, permit: Permit, charge: Charge) -> None:
        """Send the request to the first leg's model; ``charge`` is open on it."""
        self._charge = charge
        self._start(permit)

    async def next_event(self) -> Event | Began:
        """Return the next event; raises ``ServeError`` where a leg fails or is not admitted."""
        while True:
            leg = self._leg
            if leg is None:
                raise StopAsyncIteration
            event = await leg.next_event()
            if self._at == len(self._route.legs) - 1:
                if type(event) is Usage and self._at:
                    # What the caller sent, and not what went from leg to leg.
                    event.input_characters = self._usage.input_characters
                    _add(event, self._usage)
                return event
            if type(event) is Began:
                return event
            if type(event) is Delta:
                leg.texts[event.index].append(event.text)
            elif type(event) is Usage:
                self._meter.leg(leg.model, event)
                self._usage.input_characters = (
                    self._usage.input_characters or event.input_characters
                )
                _add(self._usage, event)
                await self._go_on(leg)

    async def close(self) -> None:
        """Stop what runs and give back what is held."""
        leg, self._leg = self._leg, None
        if leg is not None:
            await leg.close()

    async def _go_on(self, leg: _LegRun) -> None:
        """Give the text of a leg that is complete to the next one."""
        texts = tuple("".join(one) for one in leg.texts)
        await self.close()
        self._at += 1
        payload = msgspec.structs.replace(self._request.payload, texts=texts)
        if isinstance(payload, Translate) and payload.glossary:
            # Terms are in the last language by now, and stay as they are.
            kept = tuple((target, target) for _, target in payload.glossary)
            payload = msgspec.structs.replace(payload, glossary=kept)
        self._request = msgspec.structs.replace(self._request, payload=payload)
        following = self._route.legs[self._at]
        self._meter.queued()
        permit = await self._house.admit(self._request, following)
        self._meter.admitted()
        self._charge.next_leg(following.model)
        self._start(permit)

    def _start(self, permit: Permit) -> None:
        self._leg = _LegRun(
            self._house,
            self._request,
            self._route.legs[self._at],
            permit,
            charge=self._charge,
            elsewhere=self._elsewhere,
        )


class _LegRun:
    """One leg under way: its permit, its place in the gauges, its model's events."""

    __slots__ = ("_begun", "_charge", "_events", "_failed", "_house", "_permit", "_request",
                 "model", "texts")  # fmt: skip

    def __init__(
        self,
        house: House,
        request: Request,
        leg: Leg,
        permit: Permit,
        *,
        charge: Charge,
        elsewhere: Callable[[], bool],
    ) -> None:
        payload = request.payload
        self.model = leg.model
        self.texts: list[list[str]] = (
            [[] for _ in payload.texts] if isinstance(payload, Translate) else []
        )
        self._house = house
        self._request = request
        self._permit = permit
        self._charge = charge
        self._failed: bool | None = None
        try:
            self._events = house.pool.run(request, leg, permit, charge, elsewhere)
        except BaseException:
            permit.settle(None)
            raise
        house.metrics.of_engine(leg.model).in_flight.inc()
        self._begun = house.board.begin(leg.model)

    async def next_event(self) -> Event | Began:
        try:
            event = await anext(self._events)
        except ServeError as error:
            if error.code in ENGINE_FAILED:
                self._failed = True
                # Where another model serves it no other line tells of it.
                log.warning(
                    "engine fails a request",
                    model=self.model,
                    request_id=self._request.id,
                    code=error.code,
                    why=error.message,
                )
            raise
        if type(event) is Usage:
            self._failed = False
            took = Took(units_taken(self._request.payload, event), *self._charge.finish_leg(event))
            self._house.board.took(self.model, self._request.task, took)
        return event

    async def close(self) -> None:
        try:
            with self._permit:
                await self._events.aclose()
        finally:
            self._house.metrics.of_engine(self.model).in_flight.dec()
            self._house.board.end(self.model, self._begun, failed=self._failed)


def _add(total: Usage, more: Usage) -> None:
    """Add the tokens of one leg to those of others."""
    total.input_tokens += more.input_tokens
    total.output_tokens += more.output_tokens
    total.cached_tokens += more.cached_tokens
