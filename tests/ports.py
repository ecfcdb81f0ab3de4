"""Ports for servers that cannot say which one they took, or that are to have the same one again."""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOWEST = 10_000
RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def spare() -> int:
    """A free port below those that the kernel hands out to whoever connects or asks for any.

    One of those that was free a moment ago may be somebody's connection by now.
    """
    beyond = int(RANGE.read_text().split()[0])
    while True:
        port = random.randrange(LOWEST, beyond)  # noqa: S311 - chance, not secrets
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
