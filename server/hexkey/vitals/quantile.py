"""Percentiles out of histograms, as Prometheus works them out, so that both say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def quantile(q: float, edges: Sequence[float], counts: Sequence[float]) -> float | None:
    """Return the ``q``-quantile (0 to 1) of a histogram, None where it is empty.

    ``counts`` are cumulative, one for each of the upper ``edges`` and one more for +Inf. Within a
    bucket values are taken to lie evenly, and what is beyond the last edge counts as that edge:
    PromQL's ``histogram_quantile``.
    """
    total = counts[-1]
    if total <= 0:
        return None
    rank = q * total
    which = next(index for index, count in enumerate(counts) if count >= rank)
    if which == len(edges):
        return edges[-1]
    low, before = (edges[which - 1], counts[which - 1]) if which else (0.0, 0.0)
    within = counts[which] - before
    return low + (edges[which] - low) * ((rank - before) / within if within else 0.0)
