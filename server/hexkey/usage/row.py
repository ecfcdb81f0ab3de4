"""A line of the usage ledger."""

from __future__ import annotations

from typing import NamedTuple

from hexkey.cost.price import DEVICE

MACHINE = "_machine"
"""Tenant of what no request paid for."""
UNALLOCATED = "_unallocated"
"""Task of the part of the machine that no model holds."""


class Row(NamedTuple):
    """One finished request, or one place that a minute of the machine's bill went to.

    Times are UTC microseconds since 1970 and microseconds; ``queue_us`` and ``first_us`` are None
    where the request came to neither a step nor an output. ``request_id`` is what the caller was
    told, and may have chosen: it need not be unique.

    A row of the machine has the tenant ``_machine``, a task such as ``_idle``, no protocol and no
    request's numbers. What a request cost on a second device is a row of its own with the same
    ``request_id``, no protocol either, and no counts. Files of before there were devices lack
    ``device``, as any column to come will be lacking: it needs a default.
    """

    at_us: int
    request_id: str
    protocol: str
    tenant: str
    task: str
    model: str
    outcome: str
    code: str
    duration_us: int
    queue_us: int | None
    first_us: int | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    input_characters: int
    audio_ms: int
    device_ns: int
    cost_pico: int
    energy_uj: int
    currency: str
    device: str = DEVICE
