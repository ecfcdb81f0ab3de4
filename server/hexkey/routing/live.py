"""What is known of a model at this moment, and what that lets one expect of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hexkey.types import Translate

if TYPE_CHECKING:
    from hexkey.types import Payload, Usage

ENOUGH = 3
"""Measured requests from which on a model's numbers are believed."""


class Live(msgspec.Struct, frozen=True):
    """One model's state and its measures for one task.

    A *unit* is what the task's work is counted in: characters of text to translate, tokens to
    generate, else whole requests. ``spread`` is the 95th percentile of observed by expected time,
    ``wait_s`` how long a request that comes now is expected to wait for its turn.
    Times are in seconds, costs in pico-units of the currency.
    """

    up: bool = True
    ejected: bool = False
    in_flight: int = 0
    waiting: int = 0
    wait_s: float = 0.0
    measured: int = 0
    units: float = 0.0
    pico_per_unit: float = 0.0
    device_s_per_unit: float = 0.0
    fixed_s: float = 0.0
    s_per_unit: float = 0.0
    spread: float = 1.0

    @property
    def serving(self) -> bool:
        """Whether work should go there while there is another choice."""
        return self.up and not self.ejected

    @property
    def known(self) -> bool:
        """Whether the measures mean something."""
        return self.measured >= ENOUGH

    @property
    def unexplored(self) -> bool:
        """Whether a request should go there to measure it; those under way count as measured."""
        return self.measured + self.in_flight < ENOUGH


UNKNOWN = Live()


class Estimate(msgspec.Struct, frozen=True):
    """What serving a request is expected to take; ``latency_s`` in 95 of 100 cases at most.

    Of the latency, ``wait_s`` is the wait for a turn.
    """

    pico: float
    device_s: float
    latency_s: float
    wait_s: float = 0.0

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(
            self.pico + other.pico,
            self.device_s + other.device_s,
            self.latency_s + other.latency_s,
            self.wait_s + other.wait_s,
        )


def estimate(live: Live, payload: Payload) -> Estimate | None:
    """Return what a model would take for a request; None while too little was measured."""
    if not live.known:
        return None
    units: float = units_of(payload)
    if not isinstance(payload, Translate):
        # A limit on tokens says how long an answer may get, not how long it will.
        units = min(units, live.units)
    return Estimate(
        pico=live.pico_per_unit * units,
        device_s=live.device_s_per_unit * units,
        latency_s=live.wait_s + (live.fixed_s + live.s_per_unit * units) * live.spread,
        wait_s=live.wait_s,
    )


def units_of(payload: Payload) -> int:
    """Return how much work a request may be at most, in its task's unit."""
    if isinstance(payload, Translate):
        return sum(map(len, payload.texts))
    sampling = getattr(payload, "sampling", None)
    return sampling.max_tokens * sampling.n if sampling is not None else 1


def units_taken(payload: Payload, usage: Usage) -> int:
    """Return how much work a request was, in the same unit; at least 1."""
    if isinstance(payload, Translate):
        return usage.input_characters or 1
    return usage.output_tokens or 1 if hasattr(payload, "sampling") else 1
