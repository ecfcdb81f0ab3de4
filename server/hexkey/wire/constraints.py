"""A request's constraints as both wires take them: from its own field, and from headers.

The headers are for callers whose client library knows no such field, such as OpenAI's.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from hexkey.errors import invalid
from hexkey.types import UNCONSTRAINED, Constraints

MAX_COST, MAX_LATENCY, LABELS = "x-hexkey-max-cost", "x-hexkey-max-latency-ms", "x-hexkey-labels"
HEADERS = (MAX_COST, MAX_LATENCY, LABELS)
PICO_DIGITS = 12
MAX_PICO = (1 << 63) - 1
# As many decimals as the shortest text of any float has.
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,20})?|[0-9](\.[0-9]{1,20})?[eE]-[0-9]{1,3}")
_MAX_LENGTH = 2000


def of_headers(headers: dict[str, str]) -> Constraints:
    """Return what the headers say; ``ServeError`` names the one that cannot be read."""
    if not headers:
        return UNCONSTRAINED
    cost, latency, labels = (headers.get(name, "") for name in HEADERS)
    return Constraints(
        max_cost_pico=pico(cost, MAX_COST) if cost else None,
        max_latency_s=_milliseconds(latency) if latency else None,
        labels=_labels(labels) if labels else {},
    )


def joined(own: Constraints, headers: Constraints) -> Constraints:
    """Return both together; a request's own field says more than a header."""
    if headers is UNCONSTRAINED:
        return own
    return Constraints(
        max_cost_pico=headers.max_cost_pico if own.max_cost_pico is None else own.max_cost_pico,
        max_latency_s=headers.max_latency_s if own.max_latency_s is None else own.max_latency_s,
        labels={**headers.labels, **own.labels},
    )


def pico(text: str, param: str) -> int:
    """Return a decimal number of the currency in 1e-12 of it; ``ServeError`` where it is none."""
    try:
        if not _NUMBER.fullmatch(text):
            raise InvalidOperation
        return min(int(Decimal(text).scaleb(PICO_DIGITS)), MAX_PICO)
    except InvalidOperation:
        raise invalid(f"{param} must be a number of 0 or more such as 0.0001", param) from None


def _milliseconds(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise invalid(f"{MAX_LATENCY} must be a number of milliseconds such as 250", MAX_LATENCY)
    return float(text) / 1000


def _labels(text: str) -> dict[str, str]:
    labels = {}
    for one in text[:_MAX_LENGTH].split(","):
        name, equals, value = one.strip().partition("=")
        if not (name and equals and value):
            raise invalid(f"{LABELS} must be pairs such as region=eu,tier=a", LABELS)
        labels[name] = value
    return labels
