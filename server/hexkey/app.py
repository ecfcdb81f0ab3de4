"""The composition root: builds the house from a configuration, starts it, stops it in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from hexkey import __version__
from hexkey.administration import Administration
from hexkey.admission import Gate
from hexkey.billing import Billing
from hexkey.config import split_address
from hexkey.devices import fixed
from hexkey.engines import factory
from hexkey.engines.supervisor import Observer
from hexkey.errors import ServeError
from hexkey.glossaries import Glossaries
from hexkey.identity import state
from hexkey.identity.access import Access, is_loopback
from hexkey.identity.quota import NOTHING
from hexkey.metrics import Metrics
from hexkey.pool import Pool
from hexkey.provisioning import (
    allowances,
    fetch_models,
    memory,
    queues,
    specs,
    spent_before,
    translated_before,
    usage_writer,
)
from hexkey.recorder import Recorder
from hexkey.service import Service
from hexkey.terminal import Terminal
from hexkey.tracing import OtlpTracer
from hexkey.validation import Limits
from hexkey.wire.grpc.server import GrpcServer
from hexkey.wire.http.browsers import Browsers
from hexkey.wire.http.server import HttpServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hexkey.config import Config

    Say = Callable[[str], None]

log = structlog.get_logger("hexkey")


class App:
    """One server. ``http_port`` and ``grpc_port`` are what was bound; 0 where a wire is off.

    ``read`` returns the configuration as it is written now, for a reload.
    """

    def __init__(
        self,
        config: Config,
        folders: dict[str, str],
        say: Say,
        read: Callable[[], Config] | None = None,
    ) -> None:
        self.config = config
        self.http_port = 0
        self.grpc_port = 0
        self.metrics = Metrics()
        self.metrics.build.labels(__version__).set(1)
        self._specs = specs(config, folders)
        self.pool = Pool(
            self._specs,
            self.metrics,
            Observer(progress=lambda model, text: say(f"{model}: {text}")),
            Billing(config.cost),
            memory=memory(config),
        )
        self.metrics.watch(self.pool.billing)
        self.gate = Gate({}, places=self.pool.places)
        self.metrics.watch_queues(self.gate)
        limits = config.limits
        self.access = _access(config)
        self.access.refused = self.metrics.refuse
        service = Service(
            self.pool,
            self.gate,
            self.metrics,
            Limits(max_characters=limits.max_characters),
            self.access,
        )
        self._recorder: Recorder | None = None
        if config.usage.folder:
            self._recorder = Recorder(usage_writer(config.usage), self.pool.billing)
            self.metrics.watch_usage(self._recorder.writer)
            service.record = self._recorder.note
        if config.traces.endpoint:
            service.tracer = OtlpTracer(config.traces.endpoint, config.traces.sample)
        self.service = service
        self.administration = Administration(config, self.pool, self.metrics, self._apply, read)
        service.administration = self.administration
        service.glossaries = Glossaries(state.folder() / "glossaries")
        self._apply(config)
        self._http = HttpServer(
            service, max_body_bytes=limits.max_body_bytes, browsers=_browsers(config)
        )
        self._grpc = GrpcServer(service, max_message_bytes=limits.max_body_bytes)

    async def start(self) -> None:
        """Bind the wires, load the models, then say ready; whatever fails undoes the rest.

        The wires come first: a port in use is told at once and not after a minute of loading, and
        ``/ready`` can be asked from the start.
        """
        listen = self.config.listen
        try:
            if self._recorder is not None:
                self._recorder.start()
                self.access.spent(await asyncio.to_thread(spent_before, self.config))
                self.access.translated_before(
                    await asyncio.to_thread(translated_before, self.config)
                )
            self.pool.billing.start()
            self.http_port = await self._http.start(*_address(listen.http))
            if listen.grpc:
                self.grpc_port = await self._grpc.start(listen.grpc)
            await self.access.start(self.http_port)
            await asyncio.to_thread(
                factory.fit, [one.settings for one in self._specs if not one.keep.on_request]
            )
            await self.pool.start()
        except BaseException:
            await self.stop(grace_s=0)
            raise
        self._grpc.set_ready(True)

    async def stop(self, grace_s: float | None = None) -> None:
        """Take nothing new, let what runs finish for ``grace_s``, then end the engines.

        With the grace of the configuration, balancers that believe it is ready first have its time
        to hear otherwise.
        """
        believed = self.service.ready
        self.service.stopping = True
        self._grpc.set_ready(False)
        if grace_s is None:
            await asyncio.sleep(self.config.limits.lame_duck_s if believed else 0)
            grace_s = self.config.limits.stop_grace_s
        await asyncio.gather(self._http.stop(grace_s), self._grpc.stop(grace_s))
        await self.pool.stop()
        if self._recorder is not None:
            await self._recorder.stop()
        self.pool.billing.close()
        if self.service.tracer is not None:
            await asyncio.to_thread(self.service.tracer.close)
        await self.access.stop()

    def _apply(self, config: Config, spent: Mapping[str, tuple[int, int]] = NOTHING) -> None:
        """Take in what a reload may change beside the models."""
        self.access.allow(allowances(config), spent)
        self.service.limits = Limits(max_characters=config.limits.max_characters)
        self.service.sessions.configure(config.autocomplete)
        self.gate.configure(
            queues(config),
            {tenant.name: tenant.weight for tenant in config.access.tenants},
        )
        self.service.rules = config.routing.rules()
        if fixed(config.cost) == fixed(self.config.cost):
            self.pool.billing.reprice(config.cost)


async def serve(
    config: Config,
    say: Say,
    on_ready: Callable[[App], None],
    read: Callable[[], Config] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then stop with grace; a second signal ends at once.

    So does one that comes while models are fetched: nobody is served yet. SIGHUP takes in the
    configuration that ``read`` returns, or, where the terminal was closed that we write to, tells
    of that: then we stop.
    """
    stopping = asyncio.Event()
    terminal = Terminal()
    loop = asyncio.get_running_loop()
    app: App | None = None

    def on_signal(number: int) -> None:
        again = stopping.is_set() and number != signal.SIGHUP  # which a shell repeats
        if app is None or again:
            # The hosts' lifelines close with us, so nothing is left behind.
            _end_downloads()
            os._exit(128 + number)
        stopping.set()

    reloads: set[asyncio.Task[None]] = set()

    def on_hangup() -> None:
        if terminal.closed:
            on_signal(signal.SIGHUP)
        elif app is not None:  # else the models of the configuration as it was are still fetched
            reload = asyncio.create_task(_reload(app), name="reload")
            reloads.add(reload)
            reload.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    terminal.watch(on_hangup)
    # Before the models are fetched, which may take minutes.
    _access(config).ensure_safe(
        [_address(one)[0] for one in (config.listen.http, config.listen.grpc) if one]
    )
    app = App(config, await fetch_models(config, say), say, read)
    starting = asyncio.create_task(app.start(), name="start")
    stop = asyncio.create_task(stopping.wait(), name="stop signal")
    try:
        await asyncio.wait({starting, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.is_set():
            await starting
            gc.collect()
            gc.freeze()  # else each full collection looks at every module again, for 20 ms
            on_ready(app)
            await stop
    finally:
        stop.cancel()
        if not starting.done():
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await starting
    for reload in reloads:
        reload.cancel()
    await asyncio.gather(*reloads, return_exceptions=True)
    log.info("stopping", grace_s=config.limits.stop_grace_s)
    await app.stop()
    log.info("stopped")


async def _reload(app: App) -> None:
    # Why it was refused is in the log.
    with contextlib.suppress(ServeError):
        await app.administration.reload()


def _end_downloads() -> None:
    """End pip where it runs for us; the next fetch sweeps up what it leaves.

    Engine hosts lead process groups of their own, and end with all that is theirs when we do: a
    signal would end them alone.
    """
    for children in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for pid in map(int, children.read_text().split()):
                if os.getpgid(pid) == os.getpgid(0):
                    os.kill(pid, signal.SIGTERM)


def _access(config: Config) -> Access:
    return Access(config.access.keys, state.key_file(config.access.file))


def _browsers(config: Config) -> Browsers:
    access, host = config.access, _address(config.listen.http)[0]
    hosts = frozenset(one.lower() for one in (*access.hosts, socket.gethostname()))
    origins = frozenset(one.lower() for one in access.origins)
    return Browsers(origins, hosts, here=is_loopback(host))


def _address(text: str) -> tuple[str, int]:
    address = split_address(text)
    if address is None:
        raise ValueError(f"{text!r} is not host:port")
    return address
