from __future__ import annotations

import pytest

from hexkey.vitals.quantile import quantile

EDGES = (1.0, 2.0, 4.0)


@pytest.mark.parametrize(
    ("q", "counts", "expected"),
    [
        (0.5, [0, 0, 0, 0], None),
        (0.5, [10, 10, 10, 10], 0.5),
        (0.5, [0, 10, 10, 10], 1.5),
        (0.95, [50, 90, 100, 100], 3.0),
        (0.5, [50, 90, 100, 100], 1.0),
        (0.99, [0, 0, 10, 100], 4.0),
        (1.0, [0, 4, 4, 4], 2.0),
    ],
)
def test_quantile_is_promqls(q: float, counts: list[float], expected: float | None) -> None:
    assert quantile(q, EDGES, counts) == expected
