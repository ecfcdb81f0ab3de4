"""The router's answer: routes in the order in which they are to be tried, and why."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from hexkey.errors import ServeError
from hexkey.routing.candidates import Pair
from hexkey.routing.live import Estimate, Live


class Reason(StrEnum):
    """Why the first route of a plan is the first."""

    ONLY = "only"
    NAMED = "named"
    CLOSEST = "closest"
    FIRST = "first"
    CHEAPEST = "cheapest"
    FASTEST = "fastest"
    WEIGHTED = "weighted"
    PINNED = "pinned"
    EXPLORED = "explored"


class Leg(msgspec.Struct, frozen=True):
    """One model's part of a route, and the direction it translates in, in the model's codes."""

    model: str
    pair: Pair | None = None


class Route(msgspec.Struct, frozen=True):
    """One way to serve a request: its legs, one after the other; the last one's text is the answer.

    ``distance`` is how far the languages are from those asked for; ``expected`` is None while a
    leg's model is not measured.
    """

    legs: tuple[Leg, ...]
    distance: int = 0
    expected: Estimate | None = None

    @property
    def model(self) -> str:
        """Model of the last leg, which is the one that answers."""
        return self.legs[-1].model

    @property
    def pair(self) -> Pair | None:
        """From the first leg's source to the last leg's target, where it translates."""
        first, last = self.legs[0].pair, self.legs[-1].pair
        return Pair(first.source, last.target) if first and last else None

    def __str__(self) -> str:
        """Show the way: ``model``, or ``pt-en by a, en-de by b``."""
        return ", ".join(
            f"{leg.pair} by {leg.model}" if leg.pair else leg.model for leg in self.legs
        )


class Detected(NamedTuple):
    """The language found where the caller left it open; ``confidence`` is from 0 to 1."""

    language: str
    confidence: float


class Verdict(msgspec.Struct, frozen=True):
    """Why a model was kept or dropped, with the numbers that were known of it.

    Not ``open`` where the reader may not be told what tells of others: how much is at work there.
    """

    model: str
    kept: bool
    reason: str
    live: Live
    expected: Estimate | None = None
    open: bool = True


class Plan(msgspec.Struct, frozen=True):
    """Routes in the order in which they are to be tried.

    There is no route where nothing can serve the request; ``refusal`` then says why. ``verdicts``
    are there where the plan was asked for by ``decide``, one for every model. ``detected`` is the
    source language where the caller left it open.
    """

    routes: tuple[Route, ...]
    reason: Reason
    verdicts: tuple[Verdict, ...] = ()
    refusal: ServeError | None = None
    detected: Detected | None = None

    @property
    def model(self) -> str:
        """Model that is to answer."""
        return self.routes[0].model

    @property
    def pair(self) -> Pair | None:
        """The direction it translates in."""
        return self.routes[0].pair

    def without_estimates(self) -> Plan:
        """Return the plan without what its routes and models are expected to take, and have to do.

        Whoever may not see costs must not learn by it who else is there.
        """
        return replace(
            self,
            routes=tuple(replace(one, expected=None) for one in self.routes),
            verdicts=tuple(replace(one, expected=None, open=False) for one in self.verdicts),
        )
