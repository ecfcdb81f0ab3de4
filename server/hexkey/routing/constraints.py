"""What a caller will not have: where it may not run, and what it may not take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from hexkey.routing.candidates import Candidate
    from hexkey.routing.plan import Route
    from hexkey.types import Constraints

PICO = 10**12


def unlabelled(model: Candidate, wanted: Constraints) -> str:
    """Return why a model's labels are not those asked for; empty where they are."""
    for name, value in wanted.labels.items():
        has = model.labels.get(name)
        if has != value:
            return f"its label {name} is {has!r}" if has else f"it has no label {name}"
    return ""


def too_late_s(way: Route, wanted: Constraints) -> float:
    """Return by how much a way is too late, in seconds, where nothing but its wait is too much."""
    expected, bound = way.expected, wanted.max_latency_s
    if expected is None or bound is None:
        return 0.0
    at_once = replace(expected, latency_s=expected.latency_s - expected.wait_s)
    late_s = expected.latency_s - bound
    return 0.0 if too_much(replace(way, expected=at_once), wanted) else max(0.0, late_s)


def too_much(way: Route, wanted: Constraints) -> str:
    """Return why a way takes more than is allowed; empty where it does not, or nobody knows yet.

    How much more is not said here: not every caller may know.
    """
    expected = way.expected
    if expected is None:
        return ""
    if wanted.max_cost_pico is not None and expected.pico > wanted.max_cost_pico:
        return f"it is expected to cost more than {wanted.max_cost_pico / PICO:.3g}"
    if wanted.max_latency_s is not None and expected.latency_s > wanted.max_latency_s:
        return f"it is expected to take more than {wanted.max_latency_s * 1000:.0f} ms"
    return ""
