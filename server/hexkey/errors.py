"""The one error a request can end with, and the codes it may carry.

::

    ServeError(code, message, param=None, retry_after_s=None, details=None)

A code says *whose turn it is*: the caller's to change the request (INVALID_ARGUMENT, NOT_FOUND,
UNAUTHENTICATED, PERMISSION_DENIED, TOO_LARGE), the caller's to wait (RESOURCE_EXHAUSTED,
UNAVAILABLE), or nobody's (DEADLINE_EXCEEDED, CANCELLED, SUPERSEDED, INTERNAL). Each wire has one
table from these codes to its own; core knows none of them.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import UNSET, UnsetType


class Code(StrEnum):
    """Why a request ended without a result."""

    INVALID_ARGUMENT = "invalid_argument"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission_denied"
    NOT_FOUND = "not_found"
    TOO_LARGE = "too_large"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    UNAVAILABLE = "unavailable"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    INTERNAL = "internal"


RETRY_AFTER_S = 1.0
"""The advice of who knows no better."""
_TO_WAIT = frozenset({Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE})


class ServeError(Exception):
    """A request that ends in an error; ``message`` is safe to show to the caller.

    ``param`` names the offending field as the caller wrote it; ``retry_after_s`` is in seconds,
    always there where it is the caller's turn to wait; ``reason`` is a stable UPPER_SNAKE word for
    programs (the ``reason`` of google.rpc.ErrorInfo). ``tokens_emitted`` is set by
    a wire where the error ends a stream: how many tokens the stream told before. ``lost`` is true
    where the model's process ended in the middle of the answer, at the first try; ``logged`` once
    the request that it ended has its line in the log.
    """

    tokens_emitted: int | UnsetType = UNSET
    lost = False
    logged = False

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        param: str | None = None,
        reason: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.reason = reason or code.name
        if retry_after_s is None and code in _TO_WAIT:
            retry_after_s = RETRY_AFTER_S
        self.retry_after_s = retry_after_s


def gone(model: str) -> ServeError:
    """Tell who was routed to a model that it was taken out of the configuration meanwhile."""
    return ServeError(
        Code.UNAVAILABLE, f"model {model!r} is not served any more", retry_after_s=1.0
    )


def invalid(message: str, param: str | None = None) -> ServeError:
    """Tell the caller that the value of ``param`` cannot be served, and what can."""
    return ServeError(Code.INVALID_ARGUMENT, message, param=param)
