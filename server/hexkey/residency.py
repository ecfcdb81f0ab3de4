"""Which models stay in memory: a pure decision over what is loaded and what is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hexkey.errors import Code, ServeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hexkey.engines.supervisor import HostSettings
    from hexkey.routing import Candidate

GIB = 1 << 30
RETRY_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Keep:
    """When a model is in memory.

    ``on_request`` loads it for its first request and not at the start. A ``pinned`` one is never
    unloaded to make room. After ``idle_unload_s`` seconds without a request it is unloaded; 0 is
    never. ``memory`` is what it takes in bytes; 0 leaves it to its files' size, then to what is
    measured.
    """

    on_request: bool = False
    pinned: bool = False
    idle_unload_s: float = 0.0
    memory: int = 0


class Spec(NamedTuple):
    """A configured model: what the router sees, how its host runs, when it is kept.

    ``adapters`` are models of their own to the router; the same host serves them. ``device`` is the
    part of the machine that it is billed for; empty where the machine has one.
    """

    candidate: Candidate
    settings: HostSettings
    keep: Keep = Keep()
    adapters: tuple[Candidate, ...] = ()
    device: str = ""


@dataclass(frozen=True, slots=True)
class Resident:
    """A model in memory: its bytes, the requests on it, and when the last one came (seconds)."""

    name: str
    memory: int
    pinned: bool
    users: int
    last_used: float


def make_room(name: str, need: int, budget: int, residents: Sequence[Resident]) -> tuple[str, ...]:
    """Return the models to unload so that ``name`` fits, least recently used first.

    Those that are pinned or in use stay. ``ServeError`` UNAVAILABLE names them where it cannot fit.
    """
    free = budget - sum(one.memory for one in residents)
    evicted: list[str] = []
    idle = (one for one in residents if not one.pinned and not one.users)
    for one in sorted(idle, key=lambda one: one.last_used):
        if free >= need:
            break
        evicted.append(one.name)
        free += one.memory
    if free >= need:
        return tuple(evicted)
    staying = ", ".join(
        f"{one.name} ({_gib(one.memory)}, {'pinned' if one.pinned else 'in use'})"
        for one in residents
        if one.name not in evicted
    )
    raise ServeError(
        Code.UNAVAILABLE,
        f"model {name!r} needs {_gib(need)} and {_gib(max(0, free))} of {_gib(budget)} can be had; "
        f"in memory stay: {staying or 'none'}",
        reason="OUT_OF_MEMORY",
        retry_after_s=RETRY_AFTER_S,
    )


def _gib(size: int) -> str:
    return f"{size / GIB:.2f} GiB"
