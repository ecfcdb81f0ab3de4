"""What operators and their tools ask: is it up, is it ready, which version, how does it do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hexkey import __version__
from hexkey.wire.http.schemas import HealthAnswer, ReadyAnswer, VersionAnswer

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange

_READY, _NOT_READY = 200, 503
_EXPOSITION = ((b"content-type", b"text/plain; version=0.0.4; charset=utf-8"),)


async def health(exchange: Exchange, service: Service) -> None:  # noqa: ARG001 - a handler's signature
    """Say that the server runs."""
    await exchange.json(HealthAnswer("ok"))


async def ready(exchange: Exchange, service: Service) -> None:
    """Say whether requests are welcome: 200 if so, else 503, with the state of each model."""
    welcome = service.ready
    answer = ReadyAnswer(welcome, {name: str(s) for name, s in service.pool.states().items()})
    await exchange.json(answer, status=_READY if welcome else _NOT_READY)


async def version(exchange: Exchange, service: Service) -> None:  # noqa: ARG001 - a handler's signature
    """Say which hexkey this is."""
    await exchange.json(VersionAnswer(__version__))


async def exposition(exchange: Exchange, service: Service) -> None:
    """Return the metrics, as OpenMetrics where that is asked for, else as Prometheus' text."""
    # Rendering thousands of series takes milliseconds, which tokens on their way must not wait.
    accept = exchange.headers.get(b"accept", b"").decode("latin-1")
    text, kind = await asyncio.to_thread(service.metrics.answer, accept)
    await exchange.answer(200, text, ((b"content-type", kind.encode()),))


async def engine_exposition(exchange: Exchange, service: Service) -> None:
    """Return what an engine exports by itself, raw and under its own names."""
    text = await service.pool.exposition(exchange.scope["path_params"]["id"])
    await exchange.answer(200, text, _EXPOSITION)
