"""What the HTTP gateway itself costs, against the fake engine.

    python benchmarks/gateway_http.py [--seconds 3]

Three processes: the gateway, the fake engine's host, this load generator. Where they share cores
the rates are low; the CPU time per request and per token, read from the gateway's process, suffers
less from that, and ``per core`` is one second divided by it. The streams are compared, in the same
run, with ``bare``: a loop in the gateway's process that writes ready-made chunks of the same size
to as many sockets at the same pace, which is the least that the kernel and uvloop cost any server.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import ClassVar, cast

import uvloop

from hexkey import logs
from hexkey.admission import Gate
from hexkey.config import QueueConfig
from hexkey.engines.supervisor import HostSettings, Observer
from hexkey.metrics import Metrics
from hexkey.pool import Pool
from hexkey.routing import Candidate
from hexkey.service import Service
from hexkey.types import Autocomplete, Request, Sampling, Task
from hexkey.validation import Limits
from hexkey.wire.http.server import HttpServer

TICKS_S = os.sysconf("SC_CLK_TCK")
TOKENS = 256
STEP_MS = 5
MODELS = {"whole": {"tokens_per_step": 64}, "streamed": {"step_ms": STEP_MS}}
PREFIX = "def add(a, b):"
UNARY = {"model": "whole", "prefix": PREFIX, "max_tokens": 16}
STREAMED = {"model": "streamed", "prefix": "x", "max_tokens": TOKENS, "stream": True}
CHAT = {
    "model": "streamed",
    "messages": [{"role": "user", "content": "x"}],
    "max_tokens": TOKENS,
    "stream": True,
}


class Bare(asyncio.Protocol):
    """Answers anything with ``TOKENS`` ready-made chunks, one per tick of all connections."""

    live: ClassVar[set[Bare]] = set()
    wanted: ClassVar[asyncio.Event] = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, _data: bytes) -> None:
        """Called by the event loop."""
        self.left = TOKENS
        self.transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self.live.add(self)
        self.wanted.set()

    @classmethod
    async def tick(cls) -> None:
        """Write to every connection, step after step."""
        event = b'data: {"delta":{"index":0,"text":"w100 ","token_count":1}}\n\n'
        chunk = b"%x\r\n%b\r\n" % (len(event), event)
        while True:
            await cls.wanted.wait()
            await asyncio.sleep(STEP_MS / 1000)
            for one in list(cls.live):
                one.left -= 1
                if one.left:
                    one.transport.write(chunk)
                else:
                    one.transport.write(chunk + b"0\r\n\r\n")
                    cls.live.remove(one)
            if not cls.live:
                cls.wanted.clear()


async def gateway() -> None:
    """The server's process: prints its port and the latency without HTTP; ends with its stdin."""
    logs.configure("info", json=True)
    metrics = Metrics()
    tasks = frozenset({Task.AUTOCOMPLETE, Task.CHAT})
    models = [
        (Candidate(name, tasks), HostSettings(name, "fake", "", dict(options)))
        for name, options in MODELS.items()
    ]
    pool = Pool(models, metrics, Observer())
    service = Service(
        pool, Gate(dict.fromkeys(MODELS, QueueConfig(concurrency=1024))), metrics, Limits()
    )
    await pool.start()
    server = HttpServer(service)
    port = await server.start("127.0.0.1", 0)
    payload = Autocomplete(prefix=PREFIX, sampling=Sampling(max_tokens=16))
    took = []
    for index in range(1000):
        began = time.perf_counter()
        request = Request(id=str(index), payload=payload, protocol="bench", model="whole")
        async with service.run(request) as run:
            async for _event in run:
                pass
        took.append(time.perf_counter() - began)
    bare = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", 0)
    ticking = asyncio.create_task(Bare.tick())
    gc.freeze()  # as the server does once it is up
    ports = {"port": port, "bare_port": bare.sockets[0].getsockname()[1]}
    print(json.dumps({**ports, "inside_s": statistics.median(took)}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    ticking.cancel()
    bare.close()
    await server.stop(0)
    await pool.stop()


@dataclass
class Load:
    """Raw keep-alive connections that repeat one request until the time is over."""

    port: int
    path: str
    body: dict[str, object]
    until: float = 0.0

    async def run(self, connections: int, seconds: float) -> tuple[list[float], int]:
        """Return each request's seconds and the number of deltas seen."""
        self.until = time.perf_counter() + seconds
        results = await asyncio.gather(*(self._connection() for _ in range(connections)))
        return [one for took, _ in results for one in took], sum(deltas for _, deltas in results)

    async def _connection(self) -> tuple[list[float], int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        body = json.dumps(self.body).encode()
        head = f"POST {self.path} HTTP/1.1\r\nHost: b\r\nContent-Length: {len(body)}\r\n\r\n"
        request = head.encode() + body
        took, deltas = [], 0
        while time.perf_counter() < self.until:
            began = time.perf_counter()
            writer.write(request)
            headers = await reader.readuntil(b"\r\n\r\n")
            assert headers.startswith(b"HTTP/1.1 200"), headers
            if self.body.get("stream"):
                # A reader that sleeps in epoll on this machine would have its wake-up, which costs
                # more than the write, charged to the writer; a remote one has its own kernel.
                transport = cast("asyncio.Transport", writer.transport)
                transport.pause_reading()
                await asyncio.sleep(TOKENS * STEP_MS / 1000)
                transport.resume_reading()
                data = await reader.readuntil(b"\r\n0\r\n\r\n")
                deltas += data.count(b"data: {") - 3
            else:
                length = headers.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
                await reader.readexactly(int(length))
            took.append(time.perf_counter() - began)
        writer.close()
        return took, deltas


async def first_token_s(port: int, count: int = 200) -> float:
    """Return the median time to the first token of a stream, in seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({**STREAMED, "max_tokens": 1}).encode()
    head = f"POST /v1/autocomplete HTTP/1.1\r\nHost: b\r\nContent-Length: {len(body)}\r\n\r\n"
    took = []
    for _ in range(count):
        began = time.perf_counter()
        writer.write(head.encode() + body)
        await reader.readuntil(b'{"delta"')
        took.append(time.perf_counter() - began)
        await reader.readuntil(b"\r\n0\r\n\r\n")
    writer.close()
    return statistics.median(took)


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used, all threads."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123 - not a real file
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_S


async def load(pid: int, told: dict[str, float], seconds: float) -> None:
    port = int(told["port"])
    unary = Load(port, "/v1/autocomplete", UNARY)
    await unary.run(4, 0.5)
    took, _ = await unary.run(1, seconds)
    inside_ms, median_ms = told["inside_s"] * 1e3, statistics.median(took) * 1e3
    added_ms = median_ms - inside_ms
    print(f"unary,  1 connection : p50 {median_ms:.3f} ms, of which HTTP adds {added_ms:.3f} ms")
    first_ms = await first_token_s(port) * 1e3
    print(f"stream, 1 connection : first token {first_ms - STEP_MS:.3f} ms beyond its step")
    began, cpu = time.perf_counter(), cpu_s(pid)
    took, _ = await unary.run(32, seconds)
    each = (cpu_s(pid) - cpu) / len(took)
    rate = len(took) / (time.perf_counter() - began)
    p99_ms = statistics.quantiles(took, n=100)[98] * 1e3
    print(f"unary, 32 connections: {rate:.0f} req/s, p99 {p99_ms:.1f} ms")
    print(f"unary                : {each * 1e6:.0f} us CPU each = {1 / each:.0f} req/s per core")
    for streams in (1, 8, 32):
        costs = {}
        for name, where, path, body in (
            ("bare", int(told["bare_port"]), "/", STREAMED),
            ("autocomplete", port, "/v1/autocomplete", STREAMED),
            ("chat", port, "/v1/chat/completions", CHAT),
        ):
            cpu = cpu_s(pid)
            took, _ = await Load(where, path, body).run(streams, seconds)
            costs[name] = (cpu_s(pid) - cpu) / (len(took) * TOKENS) * 1e6
        each_told = ", ".join(f"{name} {cost:.1f}" for name, cost in costs.items())
        over = costs["autocomplete"] - costs["bare"]
        print(f"{streams:2} streams: us CPU per token: {each_told}; over bare {over:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--gateway", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.gateway:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(gateway())
        return
    process = subprocess.Popen(
        [sys.executable, __file__, "--gateway"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(load(process.pid, told, options.seconds))
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()


if __name__ == "__main__":
    main()
