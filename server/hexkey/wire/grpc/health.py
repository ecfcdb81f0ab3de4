"""``grpc.health.v1.Health``: whether this server takes work now.

The servicer of grpcio-health-checking is not used, its messages are: there, the end of one Watch
silences the other watchers of the same name, and a Watch outlives a graceful stop.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health_pb2

from hexkey.errors import Code, ServeError
from hexkey.wire.grpc.call import stream, unary

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from hexkey.wire.grpc.call import Call, Methods
    from hexkey.wire.grpc.guard import Guard

NAME = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
WATCH_S = 0.25

_STATUS = health_pb2.HealthCheckResponse
_PARSE = health_pb2.HealthCheckRequest.FromString


class Health:
    """One answer for all ``services`` and for the server, whose name is empty.

    SERVING while ``set_ready`` said so and ``is_ready`` (asked each time) agrees. A watcher hears
    of ``set_ready`` and ``stop`` at once, of ``is_ready`` within ``WATCH_S`` seconds.
    """

    def __init__(
        self, services: Collection[str], is_ready: Callable[[], bool], guard: Guard
    ) -> None:
        self._guard = guard
        self._services = frozenset({"", *services})
        self._is_ready = is_ready
        self._ready = False
        self._stopped = False
        self._changed = asyncio.Event()

    def set_ready(self, ready: bool) -> None:  # noqa: FBT001 - the one thing it says
        """Say whether the server takes work."""
        self._ready = ready
        self._tell()

    def stop(self) -> None:
        """Say NOT_SERVING from now on, and end every Watch once it has heard that."""
        self._stopped = True
        self._tell()

    def handler(self) -> Methods:
        """Return the service as grpc registers it."""
        methods = {
            "Check": unary(self._guard, _PARSE, self.check),
            "Watch": stream(self._guard, _PARSE, self.watch),
        }
        return grpc.method_handlers_generic_handler(NAME, methods)

    async def check(
        self, message: health_pb2.HealthCheckRequest, _call: Call
    ) -> health_pb2.HealthCheckResponse:
        """Answer once; NOT_FOUND for a service that is not here, as the protocol has it."""
        if message.service not in self._services:
            raise ServeError(Code.NOT_FOUND, "there is no such service here", param="service")
        return _STATUS(status=self._status())

    async def watch(self, message: health_pb2.HealthCheckRequest, call: Call) -> None:
        """Answer now and whenever the answer changes; SERVICE_UNKNOWN for what is not here."""
        with self._guard.watcher():
            await self._watch(message, call)

    async def _watch(self, message: health_pb2.HealthCheckRequest, call: Call) -> None:
        known = message.service in self._services
        told = None
        while True:
            changed = self._changed
            status = self._status() if known else _STATUS.SERVICE_UNKNOWN
            if status != told:
                await call.write(_STATUS(status=status))
                told = status
            if self._stopped:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S):
                    await changed.wait()

    def _status(self) -> int:
        serving = self._ready and not self._stopped and self._is_ready()
        return int(_STATUS.SERVING if serving else _STATUS.NOT_SERVING)

    def _tell(self) -> None:
        # A fresh event each time, so that no watcher can miss a change or see one twice.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
