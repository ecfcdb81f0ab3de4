"""Who may run: a permit is the proof, and there is a bounded number of them per model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from hexkey.errors import Code, ServeError

if TYPE_CHECKING:
    from types import TracebackType

RETRY_AFTER_S = 1.0


class Permit:
    """The right to run one request on one model; leaving its ``with`` block gives it back."""

    __slots__ = ("_gate", "model")

    def __init__(self, gate: Gate, model: str) -> None:
        self._gate = gate
        self.model = model

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._gate.give_back(self)


class Gate:
    """Issues permits up to a bound per model and refuses at once beyond it.

    Work inside the bound queues in the engine, which batches it; the bound keeps that queue, and
    so everyone's wait, finite.
    """

    def __init__(self, limits: dict[str, int]) -> None:
        self._limits = limits
        self._out = dict.fromkeys(limits, 0)

    def admit(self, model: str, deadline: float | None, now: float) -> Permit:
        """Return a permit; ``ServeError`` where the request cannot be served in time.

        ``deadline`` and ``now`` are on the same monotonic clock, in seconds.
        """
        if deadline is not None and deadline <= now:
            raise ServeError(
                Code.DEADLINE_EXCEEDED, "the deadline had passed before the request came"
            )
        if self._out[model] >= self._limits[model]:
            raise ServeError(
                Code.UNAVAILABLE,
                f"model {model!r} has {self._limits[model]} requests in work and takes no more now",
                reason="OVERLOADED",
                retry_after_s=RETRY_AFTER_S,
            )
        self._out[model] += 1
        return Permit(self, model)

    def give_back(self, permit: Permit) -> None:
        """Take a permit back; called by the permit itself, once."""
        self._out[permit.model] -= 1

    def out(self, model: str) -> int:
        """Permits given out for a model."""
        return self._out[model]
