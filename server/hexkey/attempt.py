"""One try at serving a request: the legs of one route, each on its model, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hexkey.types import Began, Delta, Translate, Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hexkey.admission import Permit
    from hexkey.billing import Charge
    from hexkey.metering import Meter
    from hexkey.metrics import Metrics
    from hexkey.pool import Pool
    from hexkey.routing import Leg, Route
    from hexkey.types import Event, Request

    Admit = Callable[[Request, Leg], Awaitable[Permit]]


class Attempt:
    """Runs one route. Its events are those of the last leg, then the usage of all legs together.

    Permits are had one at a time, so that no two requests can wait for each other's. ``close``
    gives back what is held, at whatever point it is called.
    """

    __slots__ = ("_admit", "_at", "_charge", "_leg", "_meter", "_metrics", "_pool", "_request",
                 "_route", "_usage")  # fmt: skip

    def __init__(
        self,
        route: Route,
        request: Request,
        *,
        pool: Pool,
        metrics: Metrics,
        meter: Meter,
        admit: Admit,
    ) -> None:
        self._route = route
        self._request = request
        self._pool = pool
        self._metrics = metrics
        self._meter = meter
        self._admit = admit
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
            if self._at == len(self._route.legs) - 1:
                event = await anext(leg.events)
                if type(event) is Usage and self._at:
                    # What the caller sent, and not what went from leg to leg.
                    event.input_characters = self._usage.input_characters
                    _add(event, self._usage)
                return event
            if (began := await self._middle(leg)) is not None:
                return began

    async def close(self) -> None:
        """Stop what runs and give back what is held."""
        leg, self._leg = self._leg, None
        if leg is not None:
            await leg.close()

    async def _middle(self, leg: _LegRun) -> Began | None:
        """Run a leg whose text goes to the next one; returns early to tell that it began."""
        async for event in leg.events:
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
        texts = tuple("".join(one) for one in leg.texts)
        await self.close()
        self._at += 1
        payload = msgspec.structs.replace(self._request.payload, texts=texts)
        if isinstance(payload, Translate) and payload.glossary:
            # Terms are in the last language by now, and stay as they are.
            kept = tuple((target, target) for _, target in payload.glossary)
            payload = msgspec.structs.replace(payload, glossary=kept)
        self._request = msgspec.structs.replace(self._request, payload=payload)
        self._meter.queued()
        permit = await self._admit(self._request, self._route.legs[self._at])
        self._meter.admitted()
        self._charge.next_leg(self._route.legs[self._at].model)
        self._start(permit)
        return None

    def _start(self, permit: Permit) -> None:
        leg = self._route.legs[self._at]
        self._leg = _LegRun(
            self._request, leg, permit, self._charge, pool=self._pool, metrics=self._metrics
        )


class _LegRun:
    """One leg under way: its permit, its place in the gauge, its model's events."""

    __slots__ = ("_in_flight", "_permit", "events", "model", "texts")

    def __init__(
        self,
        request: Request,
        leg: Leg,
        permit: Permit,
        charge: Charge,
        *,
        pool: Pool,
        metrics: Metrics,
    ) -> None:
        payload = request.payload
        self.model = leg.model
        self.texts: list[list[str]] = (
            [[] for _ in payload.texts] if isinstance(payload, Translate) else []
        )
        self._permit = permit
        self._in_flight = metrics.of_engine(leg.model).in_flight
        self.events = pool.run(request, leg, permit, charge)
        self._in_flight.inc()

    async def close(self) -> None:
        try:
            with self._permit:
                await self.events.aclose()
        finally:
            self._in_flight.dec()


def _add(total: Usage, more: Usage) -> None:
    """Add the tokens of one leg to those of others."""
    total.input_tokens += more.input_tokens
    total.output_tokens += more.output_tokens
    total.cached_tokens += more.cached_tokens
