"""How a step's amount falls on the requests in it: affine Shapley weights, fitted as we go.

A step that computes ``n_i`` tokens on ``c_i`` tokens of context for each of k requests takes about
``F + sum(a*n_i + b*n_i*c_i)``: a fixed part that any company pays once, and a part of each one's
own. The Shapley value of that game is ``F/k + a*n_i + b*n_i*c_i`` (F goes to whoever comes first,
each of the k equally often), so the weights, times k to stay whole, are

    w_i = F + k*(a*n_i + b*n_i*c_i)

and the amount really measured is split by them. Coefficients are fixed-point integers, nanoseconds
times ``SCALE``, of which only the ratios matter here.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from hexkey.cost.leastsquares import Row, solve

if TYPE_CHECKING:
    from collections.abc import Sequence

Computed = tuple[int, int, int]
"""(request id, tokens computed with cache hits left out, tokens of context); all at least 0."""

SCALE = 1 << 20
WINDOW_STEPS = 256
EPOCH_STEPS = 128
OUTLIER = 6
"""A residual beyond so many times the median one is a hiccup of the machine, not the model's."""


class Coefficients(NamedTuple):
    """Nanoseconds times ``SCALE``: per step, per token, per token and token of context."""

    fixed: int = 0
    token: int = SCALE
    context: int = 0


def weigh(coefficients: Coefficients, computed: Sequence[Computed]) -> list[int]:
    """Return the prefix sums of the weights; equal weights where all would be 0."""
    fixed, token, context = coefficients
    count = len(computed)
    # Folding k in once, outside the loop, is most of what makes this cheap.
    token *= count
    context *= count
    prefix, total = [], 0
    for _, n, c in computed:
        total += fixed + n * (token + context * c)
        prefix.append(total)
    return prefix if total else list(range(1, count + 1))


class Fit:
    """Coefficients of one model on one device, from its last ``WINDOW_STEPS`` steps.

    They are frozen for ``EPOCH_STEPS`` steps and then fitted anew, all at least 0. Steps that say
    too little (all alike, say) give a simpler model, never an odd one; see ``leastsquares``.
    """

    __slots__ = ("_fresh", "_steps", "coefficients", "epoch")

    def __init__(self) -> None:
        self.coefficients = Coefficients()
        self.epoch = 0
        self._steps: deque[Row] = deque(maxlen=WINDOW_STEPS)
        self._fresh = 0

    def observe(self, duration_ns: int, computed: Sequence[Computed]) -> None:
        """Take in one step."""
        if duration_ns <= 0:
            return
        tokens = context = 0
        for _, n, c in computed:
            tokens += n
            context += n * c
        self._steps.append((tokens, context, duration_ns))
        self._fresh += 1
        if self._fresh == EPOCH_STEPS:
            self._fresh = 0
            self._refit()

    def _refit(self) -> None:
        steps = list(self._steps)
        fitted = solve(steps, SCALE)
        if fitted is None:
            return
        misses = [abs(_miss(fitted, step)) for step in steps]
        bound = OUTLIER * sorted(misses)[len(misses) // 2]
        usual = [step for step, miss in zip(steps, misses, strict=True) if miss <= bound]
        self.coefficients = Coefficients(*(solve(usual, SCALE) or fitted))
        self.epoch += 1


def _miss(coefficients: tuple[int, int, int], step: Row) -> int:
    fixed, token, context = coefficients
    tokens, tokens_context, duration_ns = step
    return duration_ns * SCALE - fixed - token * tokens - context * tokens_context
