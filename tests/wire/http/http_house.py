"""A real server over real hosts of the fake engine, and raw sockets to treat it badly."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from hexkey.admission import Gate
from hexkey.billing import Billing
from hexkey.config import CostConfig, QueueConfig
from hexkey.engines.supervisor import HostSettings, Observer
from hexkey.metrics import Metrics
from hexkey.pool import Pool
from hexkey.routing import Candidate, Pair
from hexkey.service import Service
from hexkey.types import Task
from hexkey.validation import Limits
from hexkey.wire.http.browsers import Browsers
from hexkey.wire.http.server import HttpServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hexkey.wire.http.limits import HttpLimits

TEXT = frozenset({Task.AUTOCOMPLETE, Task.CHAT, Task.SUMMARIZE})
READING = frozenset({Task.EMBED, Task.RERANK, Task.CLASSIFY})
PAIRS = (Pair("en", "pt"), Pair("pt", "en"))
FREE = CostConfig()
TLS = httpx.create_ssl_context()
"""Made once: to read all authorities takes 20 ms, in which the tokens that are asked for go on."""
STEP_MS = 2.0
SLOW_STEP_MS = 20.0


@dataclass
class House:
    """A running server. ``slow`` is a model whose tokens take ``SLOW_STEP_MS`` each."""

    service: Service
    server: HttpServer
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=30, verify=TLS)

    def running(self, model: str) -> int:
        """Requests in a model's engine, as its last step said."""
        return self.service.pool._member(model).supervisor.running

    async def idle(self, model: str, within_s: float) -> bool:
        """Whether a model's engine falls idle in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.running(model):  # noqa: ASYNC110 - a number in another process
                    await asyncio.sleep(0.005)
        return not self.running(model)

    async def busy(self, model: str) -> None:
        """Wait until a model's engine works."""
        async with asyncio.timeout(20):
            while not self.running(model):  # noqa: ASYNC110 - a number in another process
                await asyncio.sleep(0.005)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@contextlib.asynccontextmanager
async def open_house(
    limits: HttpLimits | None = None,
    *,
    queue: QueueConfig | None = None,
    tokens_per_step: int = 1,
    cost: CostConfig = FREE,
) -> AsyncIterator[House]:
    models = {
        "coder": (Candidate("coder", TEXT), STEP_MS),
        "acme/slow": (Candidate("acme/slow", TEXT), SLOW_STEP_MS),
        "interpreter": (Candidate("interpreter", frozenset({Task.TRANSLATE}), PAIRS), STEP_MS),
        "reader": (Candidate("reader", READING), STEP_MS),
        "listener": (Candidate("listener", frozenset({Task.TRANSCRIBE})), STEP_MS),
    }
    metrics = Metrics()
    pool = Pool(
        [
            (
                candidate,
                HostSettings(
                    name, "fake", "", {"step_ms": step_ms, "tokens_per_step": tokens_per_step}
                ),
            )
            for name, (candidate, step_ms) in models.items()
        ],
        metrics,
        Observer(),
        Billing(cost, list(models)),
    )
    gate = Gate(dict.fromkeys(models, queue or QueueConfig()))
    service = Service(pool, gate, metrics, Limits())
    browsers = Browsers(frozenset({"https://ours.example"}), frozenset({"ours.example"}), here=True)
    server = HttpServer(service, limits=limits, browsers=browsers)
    port = await server.start("127.0.0.1", 0)
    await pool.start()
    try:
        yield House(service, server, port)
    finally:
        await server.stop(grace_s=0)
        await pool.stop()


def post(path: str, body: bytes, *headers: str) -> bytes:
    """A raw POST."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
