"""Which of several models goes first: one order a task, chosen by the operator."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING

from hexkey.routing.plan import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hexkey.routing.live import Live
    from hexkey.routing.plan import Route

EXPLORE = 64
"""One request of so many goes to the second choice, so that no measure stays wrong for ever."""


class PolicyName(StrEnum):
    """How the order is made."""

    FIRST = "first"
    CHEAPEST = "cheapest"
    FASTEST = "fastest"
    WEIGHTED = "weighted"
    PINNED = "pinned"


@dataclass(frozen=True, slots=True)
class Policy:
    """A task's policy; ``weights`` are shares by model, ``model`` is the one that is pinned."""

    name: PolicyName = PolicyName.FIRST
    weights: Mapping[str, int] = field(default_factory=dict, hash=False)
    model: str = ""


def arrange(
    routes: Sequence[Route], policy: Policy, live: Callable[[str], Live], request_id: str
) -> tuple[list[Route], Reason]:
    """Return equally good routes in the policy's order, and why the first one is first.

    ``routes`` come in the configuration's order, which decides where the policy does not.
    """
    if policy.name is PolicyName.WEIGHTED:
        return sorted(routes, key=lambda one: _lot(one.model, policy, request_id)), Reason.WEIGHTED
    if policy.name in {PolicyName.CHEAPEST, PolicyName.FASTEST}:
        return _by_measure(routes, policy.name, live, request_id)
    return list(routes), Reason(policy.name.value)


def _by_measure(
    routes: Sequence[Route], name: PolicyName, live: Callable[[str], Live], request_id: str
) -> tuple[list[Route], Reason]:
    """Order by what is expected; what nobody has measured goes first until it is measured."""

    def rank(route: Route) -> tuple[float, float]:
        expected = route.expected
        if expected is None:
            return math.inf, math.inf
        if name is PolicyName.FASTEST:
            return expected.latency_s, expected.pico
        # A machine without a price still has a time.
        return expected.pico, expected.device_s

    ordered = sorted(routes, key=rank)
    for index, route in enumerate(ordered):
        if any(live(leg.model).unexplored for leg in route.legs):
            return [route, *ordered[:index], *ordered[index + 1 :]], Reason.EXPLORED
    if len(ordered) > 1 and _hash(request_id, "explore") % EXPLORE == 0:
        return [ordered[1], ordered[0], *ordered[2:]], Reason.EXPLORED
    return ordered, Reason(name.value)


def _lot(model: str, policy: Policy, request_id: str) -> tuple[bool, float]:
    """Return a model's lot for a request; the lowest wins, as often as its weight says.

    Weighted rendezvous hashing: the same request draws the same lots everywhere, and a changed
    weight moves no more requests than it must. No weight: only where the others fail.
    """
    weight = policy.weights.get(model, 0)
    if weight <= 0:
        return True, 0.0
    uniform = (_hash(request_id, model) + 1) / (2**64 + 1)
    return False, -math.log(uniform) / weight


def _hash(request_id: str, salt: str) -> int:
    digest = blake2b(
        request_id.encode(), digest_size=8, key=blake2b(salt.encode(), digest_size=16).digest()
    )
    return int.from_bytes(digest.digest(), "big")
