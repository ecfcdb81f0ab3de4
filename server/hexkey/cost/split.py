"""Exact division of whole amounts: the parts always add up to what was divided."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def split(amount: int, weights: Iterable[int]) -> list[int]:
    """Return ``amount`` in parts by ``weights`` (at least 0, not all of them 0), exactly.

    Part i is ``amount*W_i//W - amount*W_(i-1)//W`` over the prefix sums ``W_i``: the parts
    telescope to ``amount``, and each lies within 1 of its exact share.
    """
    prefix = list(accumulate(weights))
    total = prefix[-1]
    parts, done = [], 0
    for weight in prefix:
        until = amount * weight // total
        parts.append(until - done)
        done = until
    return parts
