"""How a ``ServeError`` looks over gRPC: a status code and a ``google.rpc.Status`` beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import grpc
import structlog
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from msgspec import UNSET

from hexkey.errors import Code, ServeError

if TYPE_CHECKING:
    from google.protobuf.message import Message

DOMAIN = "hexkey"
TOKENS_EMITTED = "tokens_emitted"
MAX_MESSAGE_BYTES = 1500
MAX_FIELD_CHARACTERS = 200

STATUS = {
    Code.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    Code.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Code.PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    Code.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    # Not RESOURCE_EXHAUSTED: clients retry that, and the same request will never fit.
    Code.TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    Code.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    Code.RESOURCE_EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Code.CANCELLED: grpc.StatusCode.CANCELLED,
    Code.SUPERSEDED: grpc.StatusCode.ABORTED,
    Code.INTERNAL: grpc.StatusCode.INTERNAL,
}

log = structlog.get_logger("hexkey.grpc")


def status_of(error: ServeError) -> grpc.Status:
    """Return the status that ends a call with ``error``; the rich one is in its metadata."""
    # A status travels in HTTP/2 trailers, twice, and peers refuse more than 8 KiB of those.
    message = error.message.encode()[:MAX_MESSAGE_BYTES].decode(errors="ignore")
    status = status_pb2.Status(code=STATUS[error.code].value[0], message=message)
    for detail in _details(error, message):
        status.details.add().Pack(detail)
    return rpc_status.to_status(status)


def foreseen(error: Exception, request_id: str) -> ServeError:
    """Return ``error`` if callers may see it, else an INTERNAL one with an id found in the log."""
    if isinstance(error, ServeError):
        return error
    error_id = uuid4().hex
    log.error("unforeseen error", error_id=error_id, request_id=request_id, exc_info=error)
    told = ServeError(
        Code.INTERNAL, f"the server failed on this request; its log tells more at {error_id}"
    )
    told.logged = True
    return told


def _details(error: ServeError, message: str) -> list[Message]:
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    if error.tokens_emitted is not UNSET:
        info.metadata[TOKENS_EMITTED] = str(error.tokens_emitted)
    details: list[Message] = [info]
    if error.param is not None:
        request = error_details_pb2.BadRequest()
        field = error.param[:MAX_FIELD_CHARACTERS]
        request.field_violations.add(field=field, description=message, reason=error.reason)
        details.append(request)
    if error.retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(error.retry_after_s * 1e9))
        details.append(retry)
    return details
