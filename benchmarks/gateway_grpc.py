"""What the gRPC gateway costs: requests per second and CPU per streamed token, fake engine behind.

The gateway runs in one process, this client in another, the engine in a third. Beside hexkey the
same process serves a floor: bare grpc.aio handlers that answer with a fixed message and do nothing
else. Both are measured in turn in one run, so the ratio holds on a noisy machine.

    python benchmarks/gateway_grpc.py [--loop uvloop] [--seconds 3] [--rounds 3] [--streams 8]

CPU is the gateway process's own, all its threads, without the engine's.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from hexkey import logs
from hexkey.admission import Gate
from hexkey.config import QueueConfig
from hexkey.engines.supervisor import HostSettings, Observer
from hexkey.metrics import Metrics
from hexkey.pool import Pool
from hexkey.routing import Candidate
from hexkey.service import Service
from hexkey.types import Task
from hexkey.v1 import inference_pb2 as pb
from hexkey.validation import Limits
from hexkey.wire.grpc.server import GrpcServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Work = Callable[[], Awaitable[int]]

UNARY_CLIENTS = 16
STREAM_TOKENS = 500
SERVICE = "/hexkey.v1.InferenceService/"
FLOOR = "/floor/"


class Gateway:
    """The process under measurement; ``cpu_s`` asks it for its CPU time so far."""

    def __init__(self, loop: str) -> None:
        command = [sys.executable, str(Path(__file__).resolve()), "--serve", "--loop", loop]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.address = self._line()

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def cpu_s(self) -> float:
        """Return the CPU time it has used, in seconds."""
        assert self._process.stdin
        self._process.stdin.write("cpu\n")
        self._process.stdin.flush()
        return float(self._line())

    def close(self) -> None:
        """End it."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


async def serve() -> None:
    """Serve hexkey and the floor until stdin closes; each line on it is answered with CPU time."""
    logs.configure("info", json=True)
    metrics = Metrics()
    models = {"fast": {}, "steady": {"step_ms": 4}}
    pool = Pool(
        [
            (Candidate(name, frozenset(Task)), HostSettings(name, "fake", "", dict(options)))
            for name, options in models.items()
        ],
        metrics,
        Observer(),
    )
    service = Service(
        pool, Gate(dict.fromkeys(models, QueueConfig(concurrency=256))), metrics, Limits()
    )
    server = GrpcServer(service)
    port = await server.start("127.0.0.1:0")
    # grpc takes handlers after the start too; on one port the client's side is the same for both.
    server._server.add_generic_rpc_handlers([floor()])  # type: ignore[union-attr]  # noqa: SLF001
    await pool.start()
    gc.freeze()  # as the server does once it is up
    server.set_ready(True)
    print(f"127.0.0.1:{port}", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(time.process_time(), flush=True)
    await server.stop(0)
    await pool.stop()


def floor() -> Any:
    """Return handlers that do what grpc.aio must do at the least for the same answers."""
    whole = pb.AutocompleteResponse(
        id="x" * 32,
        model="fast",
        choices=[pb.AutocompleteChoice(text="w0 ", finish_reason=pb.FINISH_REASON_LENGTH)],
        usage=pb.Usage(input_tokens=1, output_tokens=1, input_characters=1),
    )
    delta = pb.StreamEvent(delta=pb.Delta(text="w0 ", token_count=1))

    async def unary(_data: bytes, _context: Any) -> Any:
        return whole

    async def stream(_data: bytes, context: Any) -> None:
        for _ in range(STREAM_TOKENS):
            await context.write(delta)
            await asyncio.sleep(0.004)

    return grpc.method_handlers_generic_handler(
        "floor",
        {
            "Autocomplete": grpc.unary_unary_rpc_method_handler(
                unary, None, pb.AutocompleteResponse.SerializeToString
            ),
            "StreamAutocomplete": grpc.unary_stream_rpc_method_handler(
                stream, None, pb.StreamEvent.SerializeToString
            ),
        },
    )


async def measure(
    gateway: Gateway, work: Work, clients: int, seconds: float
) -> tuple[float, float, float]:
    """Return calls per second, units (requests or tokens), and gateway CPU in us per unit."""
    units = calls = 0
    until = time.perf_counter() + seconds

    async def client() -> None:
        nonlocal units, calls
        while time.perf_counter() < until:
            done = await work()
            units += done
            calls += 1

    begun_cpu, begun = gateway.cpu_s(), time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    took, cpu = time.perf_counter() - begun, gateway.cpu_s() - begun_cpu
    return calls / took, units, cpu / units * 1e6


def unary(channel: Any, prefix: str) -> Work:
    method = channel.unary_unary(prefix + "Autocomplete")
    request = pb.AutocompleteRequest(prefix="a", model="fast", max_tokens=1).SerializeToString()

    async def work() -> int:
        await method(request)
        return 1

    return work


def stream(channel: Any, prefix: str) -> Work:
    method = channel.unary_stream(prefix + "StreamAutocomplete")
    message = pb.AutocompleteRequest(prefix="a", model="steady", max_tokens=STREAM_TOKENS)
    request = message.SerializeToString()

    async def work() -> int:
        async for _ in method(request):
            pass
        return STREAM_TOKENS

    return work


async def run(loop: str, seconds: float, rounds: int, streams: int) -> None:
    gateway = Gateway(loop)
    channel: Any = grpc.aio.insecure_channel(gateway.address)
    cases = {
        "unary  hexkey": (unary(channel, SERVICE), UNARY_CLIENTS),
        "unary  floor ": (unary(channel, FLOOR), UNARY_CLIENTS),
        "stream hexkey": (stream(channel, SERVICE), streams),
        "stream floor ": (stream(channel, FLOOR), streams),
    }
    results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in cases}
    for work, _ in cases.values():
        await work()
    for _ in range(rounds):
        for name, (work, clients) in cases.items():
            results[name].append(await measure(gateway, work, clients, seconds))
    await channel.close()
    gateway.close()
    report(results)


def report(results: dict[str, list[tuple[float, float, float]]]) -> None:
    medians = {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in results.items()
    }
    for name, (rate, units, cpu_us) in medians.items():
        unit = "request" if name.startswith("unary") else "token"
        print(f"{name}: {rate:7.0f} calls/s, {cpu_us:6.1f} us CPU per {unit} ({units:.0f} {unit}s)")
    for kind in ("unary ", "stream"):
        ratio = medians[f"{kind} hexkey"][2] / medians[f"{kind} floor "][2]
        print(f"{kind} hexkey / floor, CPU: {ratio:.2f}")
    print(f"unary requests per second of gateway CPU: {1e6 / medians['unary  hexkey'][2]:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=8, help="streams at a time")
    options = parser.parse_args()
    if not options.serve:
        asyncio.run(run(options.loop, options.seconds, options.rounds, options.streams))
    elif options.loop == "uvloop":
        import uvloop

        uvloop.run(serve())
    else:
        asyncio.run(serve())


if __name__ == "__main__":
    main()
