"""What the benchmarks share: a served hexkey, a lean HTTP client, and how results are told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

ROOT = Path(__file__).resolve().parent.parent


@contextlib.contextmanager
def served(config: str, timeout_s: float = 120.0) -> Iterator[tuple[str, int, int, int]]:
    """Serve a configuration's text in a process of its own; gives host, ports and process id."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.yaml"
        path.write_text(config)
        command = [sys.executable, "-m", "hexkey.cli", "serve", str(path)]
        command += ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
        ) as server:
            try:
                yield (*_ports(server, timeout_s), server.pid)
            finally:
                server.terminate()


def _ports(server: subprocess.Popen[str], timeout_s: float) -> tuple[str, int, int]:
    assert server.stdout is not None
    begun = time.monotonic()
    http = grpc = 0
    for line in server.stdout:
        if match := re.match(r"\s+HTTP\s+http://127\.0\.0\.1:(\d+)", line):
            http = int(match[1])
        if match := re.match(r"\s+gRPC\s+127\.0\.0\.1:(\d+)", line):
            grpc = int(match[1])
            return "127.0.0.1", http, grpc
        if time.monotonic() - begun > timeout_s:
            break
    raise SystemExit("the server did not come up")


class Client(asyncio.Protocol):
    """One keep-alive connection; the cheapest client that is still HTTP."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._first = 0.0
        self._length: int | None = None  # of head and body together; None where chunks tell
        self._answered: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        received = self._received
        if not received:
            self._first = time.perf_counter()
        received += data
        if self._length == 0 and (head := received.find(b"\r\n\r\n")) >= 0:
            length = re.search(rb"content-length: (\d+)", received[:head].lower())
            self._length = head + 4 + int(length[1]) if length else None
        whole = (
            received.endswith(b"\r\n0\r\n\r\n")
            if self._length is None
            else 0 < self._length <= len(received)
        )
        if whole and self._answered is not None:
            self._answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionResetError("the server hung up"))

    async def post(self, path: str, body: object) -> tuple[bytes, float]:
        """Return the body (of 200 answers) and the time of its first byte, by perf_counter.

        What is sent first has a part of the answer with it: hexkey's headers wait for one.
        """
        data = json.dumps(body).encode()
        self._length = 0
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(
            b"POST %b HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%b" % (path.encode(), len(data), data)
        )
        await self._answered
        head, answer = bytes(self._received).split(b"\r\n\r\n", 1)
        self._received.clear()
        if b" 200 " not in head[:16]:
            raise SystemExit(f"{path}: {head.decode()}")
        return answer if self._length is not None else _unchunked(answer), self._first

    def close(self) -> None:
        self._transport.close()


def _unchunked(data: bytes) -> bytes:
    parts = []
    while size := int((part := data.split(b"\r\n", 1))[0], 16):
        parts.append(part[1][:size])
        data = part[1][size + 2 :]
    return b"".join(parts)


@contextlib.asynccontextmanager
async def clients(host: str, port: int, count: int) -> AsyncIterator[list[Client]]:
    loop = asyncio.get_running_loop()
    made = [(await loop.create_connection(Client, host, port))[1] for _ in range(count)]
    try:
        yield made
    finally:
        for client in made:
            client.close()


async def closed_loop(
    workers: int, jobs: Sequence[object], do: Callable[[int, object], Awaitable[None]]
) -> float:
    """Let ``workers`` take the jobs in turn; returns the seconds until all are done."""
    queue = iter(jobs)

    async def work(number: int) -> None:
        for job in queue:
            await do(number, job)

    begun = time.perf_counter()
    await asyncio.gather(*(work(number) for number in range(workers)))
    return time.perf_counter() - begun


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def ratio_line(name: str, ours: Sequence[float], theirs: Sequence[float], unit: str) -> str:
    """Medians of interleaved rounds and the median of their round-by-round ratios."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return (
        f"{name:<34} hexkey {statistics.median(ours):9.1f} {unit}   other "
        f"{statistics.median(theirs):9.1f} {unit}   ratio {statistics.median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f})"
    )


def machine() -> str:
    """The machine, the day and the commit, for RESULTS.md; a ``+`` is work not committed."""
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    name = model[1] if model else platform.processor()
    day, python = time.strftime("%Y-%m-%d"), platform.python_version()
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return f"{day}, {commit}, {os.cpu_count()} cores of {name}, Python {python}"
