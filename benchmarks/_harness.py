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


class Client:
    """One keep-alive connection; the cheapest client that is still HTTP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str, port: int) -> Client:
        return cls(*await asyncio.open_connection(host, port))

    async def post(self, path: str, body: object) -> tuple[bytes, float]:
        """Return the body (of 200 answers) and the time of its first byte, by perf_counter."""
        data = json.dumps(body).encode()
        self._writer.write(
            b"POST %b HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%b" % (path.encode(), len(data), data)
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head[:16]:
            raise SystemExit(f"{path}: {head.decode()}")
        if length := re.search(rb"content-length: (\d+)", head.lower()):
            answer = await self._reader.readexactly(int(length[1]))
            return answer, time.perf_counter()
        parts, first = [], 0.0
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            parts.append((await self._reader.readexactly(size + 2))[:-2])
            first = first or time.perf_counter()
        await self._reader.readexactly(2)
        return b"".join(parts), first

    def close(self) -> None:
        self._writer.close()


@contextlib.asynccontextmanager
async def clients(host: str, port: int, count: int) -> AsyncIterator[list[Client]]:
    made = [await Client.open(host, port) for _ in range(count)]
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
