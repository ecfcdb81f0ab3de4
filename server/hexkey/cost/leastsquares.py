"""Least squares over three features in exact integers, with coefficients of at least 0.

Three features have seven subsets, so the bounded problem is solved by trying each: Cramer's rule on
its normal equations, kept where no coefficient is negative. Of those the simplest one wins that
explains nearly as much as the best; so steps that do not tell two features apart, or hardly, do not
give one of them a wild value.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = tuple[int, int, int]
"""(tokens, tokens times context, nanoseconds) of one step."""

# Simplest first; where steps are all alike, time goes by tokens.
_SUBSETS = ((1,), (0,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2))
_WORTH = Fraction(63, 64)
"""One more feature must take at least 1/64 off the squared error that was left."""


def solve(rows: Sequence[Row], scale: int) -> tuple[int, int, int] | None:
    """Return (fixed, per token, per token and context) times ``scale``; None if all are 0.

    They minimise the squared error of ``fixed + token*x + context*y`` against the time.
    """
    gram, right, squares = _normal(rows)
    best: list[Fraction] | None = None
    left = Fraction(0)
    for subset in _SUBSETS:
        found = _cramer([[gram[i][j] for j in subset] for i in subset], [right[i] for i in subset])
        if found is None or min(found) < 0:
            continue
        # At the minimum, the squared error is y·y - x·(Xᵀy).
        error = squares - sum(
            (one * right[i] for one, i in zip(found, subset, strict=True)), Fraction(0)
        )
        if best is None or error < left * _WORTH:
            best, left = [Fraction(0)] * 3, error
            for one, i in zip(found, subset, strict=True):
                best[i] = one
    if best is None or not any(best):
        return None
    fixed, token, context = (int(one * scale) for one in best)
    return (fixed, token, context) if fixed or token or context else None


def _normal(rows: Sequence[Row]) -> tuple[list[list[int]], list[int], int]:
    count, x, y, xx, xy, yy, t, xt, yt, tt = len(rows), 0, 0, 0, 0, 0, 0, 0, 0, 0
    for tokens, context, time in rows:
        x += tokens
        y += context
        xx += tokens * tokens
        xy += tokens * context
        yy += context * context
        t += time
        xt += tokens * time
        yt += context * time
        tt += time * time
    return [[count, x, y], [x, xx, xy], [y, xy, yy]], [t, xt, yt], tt


def _cramer(matrix: list[list[int]], right: list[int]) -> list[Fraction] | None:
    whole = _determinant(matrix)
    if whole == 0:
        return None
    return [
        Fraction(
            _determinant(
                [
                    [*row[:column], value, *row[column + 1 :]]
                    for row, value in zip(matrix, right, strict=True)
                ]
            ),
            whole,
        )
        for column in range(len(right))
    ]


def _determinant(matrix: list[list[int]]) -> int:
    if len(matrix) == 1:
        return matrix[0][0]
    first, *rest = matrix
    total, sign = 0, 1
    for column, value in enumerate(first):
        total += sign * value * _determinant([row[:column] + row[column + 1 :] for row in rest])
        sign = -sign
    return total
