"""What a client may cost this wire before any model is involved."""

from __future__ import annotations

from dataclasses import dataclass

MAX_MESSAGE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class GrpcLimits:
    """Bounds of one listener. Times are in seconds, sizes in bytes.

    ``max_held_bytes`` bounds what the messages of all calls hold together, once they have come;
    each has ``message_s`` for that. ``max_watchers`` bounds the streams that last as long as their
    callers like. A connection without a call for ``idle_s`` is told to go; one that is silent for
    ``keepalive_s`` is pinged, and closed without an answer in ``keepalive_timeout_s``.
    """

    max_connections: int = 2048
    max_calls: int = 1024
    max_watchers: int = 256
    max_message_bytes: int = MAX_MESSAGE_BYTES
    max_held_bytes: int = 512 << 20
    message_s: float = 30.0
    idle_s: float = 300.0
    keepalive_s: float = 60.0
    keepalive_timeout_s: float = 20.0
