"""A real gRPC server over a real Service, whose models are fake engines in real hosts."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from google.rpc import error_details_pb2

from hexkey.admission import Gate
from hexkey.billing import Billing
from hexkey.config import CostConfig, QueueConfig
from hexkey.engines.supervisor import HostSettings, Observer
from hexkey.metrics import Metrics
from hexkey.pool import Pool
from hexkey.routing import Candidate, Pair
from hexkey.service import Service
from hexkey.types import Task
from hexkey.v1 import inference_pb2_grpc
from hexkey.validation import Limits
from hexkey.wire.grpc.limits import GrpcLimits
from hexkey.wire.grpc.server import GrpcServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from google.rpc import status_pb2

# Their tasks overlap, so the first of them serves where no model is named.
OPTIONS: dict[str, dict[str, object]] = {
    "fast": {},
    "slow": {"step_ms": 10},
    "bulk": {"tokens_per_step": 1000},
    "late": {"load_ms": 700},
}
SERVED = ("fast", "slow", "bulk")
FREE = CostConfig()
EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # grpc's stubs do not know of it


@dataclass
class House:
    """The server, its insides, and a client of it."""

    service: Service
    server: GrpcServer
    address: str
    channel: Any
    stub: Any

    def running(self, model: str) -> int:
        """Requests in the engine, as its last step said."""
        return self.service.pool._member(model).supervisor.running

    async def until_running(self, model: str, count: int, within_s: float = 20.0) -> float:
        """Wait until the engine has so many requests; return how long that took, in seconds."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.timeout(within_s):
            while self.running(model) != count:  # noqa: ASYNC110 - a number in another process
                await asyncio.sleep(0.002)
        return loop.time() - begun


@asynccontextmanager
async def open_house(
    models: tuple[str, ...] = SERVED,
    *,
    cost: CostConfig = FREE,
    limits: GrpcLimits | None = None,
) -> AsyncIterator[House]:
    metrics = Metrics()
    pool = Pool(
        [
            (
                Candidate(name, frozenset(Task), (Pair("en", "pt"), Pair("pt", "en"))),
                HostSettings(name, "fake", "", OPTIONS[name]),
            )
            for name in models
        ],
        metrics,
        Observer(),
        Billing(cost, list(models)),
    )
    gate = Gate(dict.fromkeys(models, QueueConfig()))
    service = Service(pool, gate, metrics, Limits())
    server = GrpcServer(service, limits=limits)
    address = f"127.0.0.1:{await server.start('127.0.0.1:0')}"
    try:
        await pool.start()
        server.set_ready(True)
        async with grpc.aio.insecure_channel(
            address, options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            make_stub: Any = inference_pb2_grpc.InferenceServiceStub
            yield House(service, server, address, channel, make_stub(channel))
    finally:
        await server.stop(0)
        await pool.stop()


def metadata_of(pairs: Any) -> dict[str, Any]:
    """Return a call's metadata by key."""
    return dict(pairs)


async def rest(call: Any) -> list[Any]:
    """Return what a stream has yet to say, also after a ``read``; raises its status."""
    messages = []
    while (message := await call.read()) is not EOF:
        messages.append(message)
    return messages


def details_of(status: status_pb2.Status) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in (
        error_details_pb2.ErrorInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.RetryInfo,
    ):
        for packed in status.details:
            message = kind()
            if packed.Unpack(message):
                found[kind.__name__] = message
    return found
