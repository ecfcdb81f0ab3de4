"""Addresses to listen on, as people write them."""

from __future__ import annotations

import re

_ADDRESS = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9._-]+)?)]|(?P<name>[A-Za-z0-9._-]+))"
    r":(?P<port>[0-9]{1,5})"
)
MAX_PORT = 0xFFFF


def split_address(address: str) -> tuple[str, int] | None:
    """Return host and port of ``host:port`` (``[::1]:8080`` for IPv6), or None if it is neither."""
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found["port"]) > MAX_PORT:
        return None
    return found["ipv6"] or found["name"], int(found["port"])
