"""The composition root: builds the house from a configuration, starts it, stops it in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from hexkey import __version__
from hexkey.admission import Gate
from hexkey.billing import Billing
from hexkey.config import split_address
from hexkey.engines.supervisor import HostSettings, Observer
from hexkey.metrics import Metrics
from hexkey.models.cache import default_cache, fetch
from hexkey.pool import Pool
from hexkey.service import Service
from hexkey.validation import Limits
from hexkey.wire.grpc.server import GrpcServer
from hexkey.wire.http.server import HttpServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from hexkey.config import Config, ModelConfig

    Say = Callable[[str], None]

log = structlog.get_logger("hexkey")


class App:
    """One server. ``http_port`` and ``grpc_port`` are what was bound; 0 where a wire is off."""

    def __init__(self, config: Config, folders: dict[str, str], say: Say) -> None:
        self.config = config
        self.http_port = 0
        self.grpc_port = 0
        self.metrics = Metrics()
        self.metrics.build.labels(__version__).set(1)
        self.pool = Pool(
            [(model.candidate(), _settings(model, folders)) for model in config.models],
            self.metrics,
            Observer(progress=lambda model, text: say(f"{model}: {text}")),
            Billing(config.cost, [model.name for model in config.models]),
        )
        self.metrics.watch(self.pool.billing)
        gate = Gate({model.name: model.max_in_flight for model in config.models})
        limits = config.limits
        service = Service(
            self.pool, gate, self.metrics, Limits(max_characters=limits.max_characters)
        )
        self.service = service
        self._http = HttpServer(service, max_body_bytes=limits.max_body_bytes)
        self._grpc = GrpcServer(service, max_message_bytes=limits.max_body_bytes)

    async def start(self) -> None:
        """Bind the wires, load the models, then say ready; whatever fails undoes the rest.

        The wires come first: a port in use is told at once and not after a minute of loading, and
        ``/ready`` can be asked from the start.
        """
        listen = self.config.listen
        try:
            self.http_port = await self._http.start(*_address(listen.http))
            if listen.grpc:
                self.grpc_port = await self._grpc.start(listen.grpc)
            await self.pool.start()
        except BaseException:
            await self.stop(grace_s=0)
            raise
        self._grpc.set_ready(True)

    async def stop(self, grace_s: float | None = None) -> None:
        """Take nothing new, let what runs finish for ``grace_s``, then end the engines."""
        grace_s = self.config.limits.stop_grace_s if grace_s is None else grace_s
        self._grpc.set_ready(False)
        await asyncio.gather(self._http.stop(grace_s), self._grpc.stop(grace_s))
        await self.pool.stop()


async def fetch_models(config: Config, say: Say) -> dict[str, str]:
    """Return each model's folder, or file where its source is one; ``ModelError`` if it fails."""
    cache = _cache(config)

    async def one(model: ModelConfig) -> tuple[str, str]:
        if not model.source:
            return model.name, ""
        files = await asyncio.to_thread(
            fetch,
            model.source,
            cache=cache,
            sha256=model.sha256 or None,
            progress=lambda text: say(f"{model.name}: {text}"),
        )
        return model.name, str(files.paths[0] if len(files.paths) == 1 else files.folder)

    return dict(await asyncio.gather(*(one(model) for model in config.models)))


async def serve(config: Config, say: Say, on_ready: Callable[[App], None]) -> None:
    """Serve until SIGTERM or SIGINT, then stop with grace; a second signal ends at once."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stopping.is_set():
            # The hosts' lifelines close with us, so nothing is left behind.
            os._exit(1)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    app = App(config, await fetch_models(config, say), say)
    starting = asyncio.create_task(app.start(), name="start")
    stop = asyncio.create_task(stopping.wait(), name="stop signal")
    try:
        await asyncio.wait({starting, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.is_set():
            await starting
            on_ready(app)
            await stop
    finally:
        stop.cancel()
        if not starting.done():
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await starting
    log.info("stopping", grace_s=config.limits.stop_grace_s)
    await app.stop()
    log.info("stopped")


def _cache(config: Config) -> Path:
    return Path(config.cache_dir).expanduser() if config.cache_dir else default_cache()


def _settings(model: ModelConfig, folders: dict[str, str]) -> HostSettings:
    return HostSettings(
        model=model.name,
        engine=model.engine,
        folder=folders[model.name],
        options=model.options,
        load_timeout_s=model.load_timeout_s,
        stall_timeout_s=model.stall_timeout_s,
    )


def _address(text: str) -> tuple[str, int]:
    address = split_address(text)
    if address is None:
        raise ValueError(f"{text!r} is not host:port")
    return address
