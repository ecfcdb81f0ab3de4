"""Natural batching: when the engine is free, run what waits now, and never wait for more.

Why no timer: an engine that is free gains nothing by idling, and one that is busy collects a
batch meanwhile by itself (architecture.md, section 4, has the measurements).
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

BATCHES_AT_HAND = 2
"""The one that is computed and the next: with these an engine never waits for the front end."""

WINDOW = 64
"""Waiting rows looked at for one batch: enough for similar lengths, few enough to be free."""


class Row(Protocol):
    """What waits: something with a length in tokens."""

    @property
    def length(self) -> int:
        """Tokens of input."""


R = TypeVar("R", bound=Row)


class Batcher(Generic[R]):
    """A queue that gives batches of similar lengths, the longest-waiting row always among them.

    A batch holds at most ``max_rows`` rows and ``max_padded_tokens`` tokens, padding counted, but
    never less than one row.
    """

    def __init__(self, max_rows: int = 8, max_padded_tokens: int = 2048) -> None:
        self._max_rows = max_rows
        self._max_padded_tokens = max_padded_tokens
        self._waiting: deque[R] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, row: R) -> None:
        """Queue one row."""
        self._waiting.append(row)

    def drop(self, unwanted: Callable[[R], bool]) -> None:
        """Forget the rows nobody waits for any more."""
        self._waiting = deque(row for row in self._waiting if not unwanted(row))

    def take(self) -> list[R]:
        """Remove and return the next batch; empty when nothing waits."""
        if not self._waiting:
            return []
        first = self._waiting[0]
        near = sorted(
            islice(self._waiting, 1, WINDOW), key=lambda row: abs(row.length - first.length)
        )
        batch, width = [first], first.length
        for row in near:
            wider = max(width, row.length)
            if len(batch) >= self._max_rows:
                break
            if wider * (len(batch) + 1) <= self._max_padded_tokens:
                batch.append(row)
                width = wider
        taken = {id(row) for row in batch}
        head = [self._waiting.popleft() for _ in range(min(WINDOW, len(self._waiting)))]
        self._waiting.extendleft(row for row in reversed(head) if id(row) not in taken)
        return batch
