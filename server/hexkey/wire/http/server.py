"""The listener: uvicorn inside our event loop, with its signals and its logging left to us."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import select
import socket
from typing import TYPE_CHECKING

import uvicorn

from hexkey.wire.address import AddressInUse
from hexkey.wire.http.app import build_app
from hexkey.wire.http.browsers import Browsers
from hexkey.wire.http.dashboard.feed import Feed
from hexkey.wire.http.limits import MAX_BODY_BYTES, HttpLimits
from hexkey.wire.http.protocol import Door, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator

    from hexkey.service import Service

BACKLOG = 2048
SETTLE_S = 0.25
CANCEL_S = 1.0
POLL_S = 0.01


class HttpServer:
    """One listening address. Start it once, stop it once."""

    def __init__(
        self,
        service: Service,
        *,
        limits: HttpLimits | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        browsers: Browsers | None = None,
    ) -> None:
        limits = limits or HttpLimits(max_body_bytes=max_body_bytes)
        self._door = Door(limits)
        self._feed = Feed(service)
        self._server = _Server(
            uvicorn.Config(
                build_app(service, limits, self._feed, browsers or Browsers()),
                http=functools.partial(Protocol, self._door),  # type: ignore[arg-type]  # builds one
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=limits.keep_alive_s,
            ),
            self._door,
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port bound. ``OSError`` names the address if it cannot be had."""
        listener = _bind(host, port)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="http")
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({self._task, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if self._task.done():
            await self._task
        return int(listener.getsockname()[1])

    async def stop(self, grace_s: float) -> None:
        """Accept nothing new, let what runs finish for ``grace_s`` seconds, end the rest."""
        if self._task is None:
            return
        task, self._task = self._task, None
        self._door.stopping = True
        self._feed.close()
        self._server.grace_s = grace_s
        self._server.should_exit = True
        await task


class _Server(uvicorn.Server):
    """uvicorn's server with another end: nothing that was sent before the stop is lost."""

    def __init__(self, config: uvicorn.Config, door: Door) -> None:
        super().__init__(config)
        self._door = door
        self.grace_s = 0.0
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to whoever owns the process."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door, then the connections as they fall idle, then what is over its grace."""
        state = self.server_state
        loop = asyncio.get_running_loop()
        began = loop.time()
        until = began + self.grace_s
        # Closing a listener resets those who have connected and are not accepted yet.
        latest = min(began + SETTLE_S, until)
        while loop.time() < latest and _somebody_waits(sockets or []):  # noqa: ASYNC110 - a poll
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for one in sockets or ():
            one.close()
        # Answers say "connection: close" by now; a client that has connected, or is between two
        # requests on a kept connection, is answered once more as long as such requests come in;
        # each moves the end of this wait, which no event could tell.
        door = self._door
        while loop.time() < min(max(began, door.requested_at) + SETTLE_S, until):  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
        for connection in list(state.connections):
            connection.shutdown()
        while state.connections and loop.time() < until:  # noqa: ASYNC110 - uvicorn has no event
            await asyncio.sleep(POLL_S)
        for task in list(state.tasks):
            task.cancel()
        if state.tasks:
            await asyncio.wait(set(state.tasks), timeout=CANCEL_S)
        for connection in list(state.connections):
            connection.transport.close()


def _somebody_waits(listeners: list[socket.socket]) -> bool:
    poll = select.poll()
    for listener in listeners:
        poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))


def _bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address nobody else has."""
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        # Lets a restart bind while old connections linger; a second listener is still refused.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        if listener is not None:
            listener.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(f"{host}:{port}") from None
        raise OSError(f"HTTP cannot listen on {host}:{port}: {error.strerror}") from error
    return listener
