"""What a client may cost this wire before any model is involved."""

from __future__ import annotations

from dataclasses import dataclass

MAX_BODY_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds of one listener. Times are in seconds, sizes in bytes.

    A body has ``body_first_s`` to begin; every byte that comes buys ``1 / body_min_rate`` seconds
    more, up to ``body_total_s`` in all. ``max_held_bytes`` bounds what the bodies of all requests
    hold together, ``max_drain_bytes`` what is read and thrown away of one that is too large, so
    that its sender gets to read why.
    """

    max_connections: int = 2048
    max_concurrent: int = 1024
    max_header_bytes: int = 64 << 10
    max_body_bytes: int = MAX_BODY_BYTES
    max_held_bytes: int = 512 << 20
    max_drain_bytes: int = 64 << 20
    header_s: float = 10.0
    body_first_s: float = 10.0
    body_total_s: float = 30.0
    body_min_rate: float = 4096.0
    keep_alive_s: int = 75
    write_stall_s: float = 60.0
    quiet_s: float = 15.0
