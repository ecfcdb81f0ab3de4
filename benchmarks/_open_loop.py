"""What open-loop benchmarks share: a request on its own connection, and the server's own sums.

Open loop: requests come when they come, however slow the answers are.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import urllib.request
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    """Status and JSON of an answer; status 0 where none came."""

    status: int = 0
    body: dict[str, Any] = field(default_factory=dict)


async def ask(
    host: str, port: int, path: str, body: object, headers: dict[str, str] | None = None
) -> Answer:
    """Send one request and read the answer."""
    data = json.dumps(body).encode()
    lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(
            f"POST {path} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n{lines}"
            f"content-length: {len(data)}\r\n\r\n".encode()
            + data
        )
        head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
    except ConnectionError:
        return Answer()
    finally:
        writer.close()
    if not head:
        return Answer()
    with contextlib.suppress(ValueError):
        return Answer(int(head.split(b" ", 2)[1]), json.loads(rest))
    return Answer(int(head.split(b" ", 2)[1]))


def sums(host: str, port: int, *names: str) -> dict[str, dict[str, float]]:
    """Return, of some metrics, the value of each label set as it is written."""
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=10) as response:
        text = response.read().decode()
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    for name, labels, value in re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)", text, re.MULTILINE):
        if name in found:
            found[name][labels] = float(value)
    return found
