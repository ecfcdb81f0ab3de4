"""What a supervisor is told of its model and what it tells: settings, states, an observer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hexkey.engines.frames import Step


class State(StrEnum):
    """Where a model is in its life."""

    STOPPED = "stopped"
    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    BACKOFF = "backoff"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class HostSettings:
    """How to run one model's host. Times are in seconds, ``adapters`` folders by name."""

    model: str
    engine: str
    folder: str
    options: dict[str, object]
    load_timeout_s: float = 300.0
    stall_timeout_s: float = 7.0
    cold_start_s: float = 60.0
    adapters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observer:
    """What the supervisor tells; every call is quick and must not raise."""

    step: Callable[[str, Step], None] = lambda _model, _step: None
    state: Callable[[str, State], None] = lambda _model, _state: None
    restart: Callable[[str, str], None] = lambda _model, _reason: None
    progress: Callable[[str, str], None] = lambda _model, _text: None
    wanted: Callable[[str], None] | None = None
    """A request came for a model that is not loaded; without this it is refused."""
