"""What admission knows of a request: who asks, how urgent it is and how much work it may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from hexkey.tasks import entry_of
from hexkey.types import UNBOUNDED, Priority

if TYPE_CHECKING:
    from hexkey.types import Payload


@dataclass(slots=True, eq=False)
class Ticket:
    """One request at one model. Times are in seconds on the loop's clock.

    ``width`` is how many of the engine's places it takes; ``tokens`` the work it may be, input and
    output; ``work_s`` how long the engine takes for that on average and ``service_s`` at most, in
    all likelihood, 0 where nothing is known yet;
    ``submitted`` when it was sent there, which a model that must be loaded first delays.
    """

    tenant: str
    priority: Priority = Priority.NORMAL
    deadline: float | None = None
    width: int = 1
    input_tokens: int = 0
    tokens: int = 1
    work_s: float = 0.0
    service_s: float = 0.0
    submitted: float | None = None


class Size(msgspec.Struct, frozen=True):
    """How large a payload is before a model has seen it.

    ``tokens`` are input given as tokens; ``outputs`` can be in one batch together;
    ``output_tokens`` is the most that may be generated, 0 where the input or the model decides it.
    """

    characters: int
    tokens: int
    outputs: int
    output_tokens: int


def measure(payload: Payload) -> Size:
    """Return the size of any task's payload."""
    entry = entry_of(payload)
    outputs = entry.outputs(payload)
    sampling = getattr(payload, "sampling", None)
    limit = sampling.max_tokens if sampling and sampling.max_tokens < UNBOUNDED else 0
    characters = sum(map(len, payload.reads))
    return Size(characters, entry.ids(payload), outputs, outputs * limit)
