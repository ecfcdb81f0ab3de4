"""The gRPC server: its socket, its services, its life."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health_pb2

from hexkey.v1 import (
    constraints_pb2,
    inference_pb2,
    open_inference_pb2,
    outcome_pb2,
    priority_pb2,
    retrieval_pb2,
    speech_pb2,
    summary_pb2,
)
from hexkey.wire.address import ensure_free
from hexkey.wire.grpc import open_inference, reflection, servicer
from hexkey.wire.grpc.guard import Guard
from hexkey.wire.grpc.health import Health
from hexkey.wire.grpc.limits import MAX_MESSAGE_BYTES, GrpcLimits

if TYPE_CHECKING:
    from hexkey.service import Service

# Each after what it imports itself.
_FILES = (
    reflection.file_of(outcome_pb2.DESCRIPTOR),
    reflection.file_of(priority_pb2.DESCRIPTOR),
    reflection.file_of(constraints_pb2.DESCRIPTOR),
    reflection.file_of(retrieval_pb2.DESCRIPTOR),
    reflection.file_of(speech_pb2.DESCRIPTOR),
    reflection.file_of(summary_pb2.DESCRIPTOR),
    reflection.file_of(inference_pb2.DESCRIPTOR),
    reflection.file_of(health_pb2.DESCRIPTOR),
    reflection.renamed(open_inference_pb2.DESCRIPTOR, "inference"),
)

SPARE = 2
"""Grpc's own bound on calls over ours: to be refused by us, and told when to come, takes a call."""

_OPTIONS = (
    # By default grpc shares a port that is in use, and the kernel then splits the traffic.
    ("grpc.so_reuseport", 0),
    # Clients behind a balancer ping to keep idle connections open; that is no offence.
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
)


class GrpcServer:
    """Serves a ``Service`` over gRPC, with health and reflection beside it.

    A message larger than ``max_message_bytes``, and a call beyond ``SPARE`` times ``max_calls`` at
    a time, are refused by grpc itself, RESOURCE_EXHAUSTED; a connection too many is closed.
    """

    def __init__(
        self,
        service: Service,
        *,
        limits: GrpcLimits | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        limits = limits or GrpcLimits(max_message_bytes=max_message_bytes)
        self._guard = Guard(limits, service.metrics.refuse)
        self._servicer = servicer.InferenceServicer(service)
        self._open_inference = open_inference.OpenInference(service)
        self._health = Health(
            [servicer.NAME, open_inference.NAME], lambda: service.ready, self._guard
        )
        self._options = (
            *_OPTIONS,
            ("grpc.max_receive_message_length", limits.max_message_bytes),
            ("grpc.max_allowed_incoming_connections", limits.max_connections),
            ("grpc.max_connection_idle_ms", round(limits.idle_s * 1000)),
            ("grpc.keepalive_time_ms", round(limits.keepalive_s * 1000)),
            ("grpc.keepalive_timeout_ms", round(limits.keepalive_timeout_s * 1000)),
            # grpc pings on its own account, too, and sends no second one before the first is back.
            ("grpc.http2.ping_timeout_ms", round(limits.keepalive_timeout_s * 1000)),
        )
        self._max_calls = SPARE * limits.max_calls
        self._server: grpc.aio.Server | None = None

    async def start(self, address: str) -> int:
        """Listen at ``host:port`` (port 0 takes a free one) or ``unix:PATH``; return the port.

        Raises ``AddressInUse`` or another ``OSError`` where that cannot be. The port of a path
        is 1. Health says NOT_SERVING until ``set_ready``.
        """
        await ensure_free(address)
        server = grpc.aio.server(
            handlers=[
                self._servicer.handler(self._guard),
                self._open_inference.handler(self._guard),
                self._health.handler(),
                *reflection.handlers(_FILES, self._guard),
            ],
            options=self._options,
            maximum_concurrent_rpcs=self._max_calls,
        )
        try:
            port = server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"cannot listen at {address}: {error}") from None
        await server.start()
        self._server = server
        return port

    def set_ready(self, ready: bool) -> None:  # noqa: FBT001 - the one thing it says
        """Say whether the server takes work; health reports it while the models agree."""
        self._health.set_ready(ready)

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, let those under way finish for ``grace_s`` seconds, cut the rest."""
        self._health.stop()
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace_s)
