"""Errors as HTTP shows them: a table from codes to statuses and a JSON shape per API family.

::

    ServeError                  what core raises; its status is in TABLE
    └── HttpError               what only this wire knows: it names its status itself
    ClientGone                  nobody is there to be answered
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hexkey.errors import Code, ServeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Header = tuple[bytes, bytes]

TokensEmitted = Annotated[
    int | UnsetType,
    Meta(description="Of an error that ends a stream: how many tokens the stream told before."),
]


@dataclass(frozen=True, slots=True)
class Row:
    """How a code is shown."""

    status: int
    type: str


# The types are those of OpenAI's API, whose clients retry 408, 409, 429 and 5xx unless told not to.
TABLE: dict[Code, Row] = {
    Code.INVALID_ARGUMENT: Row(400, "invalid_request_error"),
    Code.UNAUTHENTICATED: Row(401, "authentication_error"),
    Code.PERMISSION_DENIED: Row(403, "permission_error"),
    Code.NOT_FOUND: Row(404, "invalid_request_error"),
    Code.TOO_LARGE: Row(413, "invalid_request_error"),
    Code.DEADLINE_EXCEEDED: Row(504, "timeout_error"),
    Code.RESOURCE_EXHAUSTED: Row(429, "rate_limit_error"),
    Code.UNAVAILABLE: Row(503, "server_error"),
    Code.CANCELLED: Row(499, "cancelled_error"),
    Code.SUPERSEDED: Row(409, "superseded_error"),
    Code.INTERNAL: Row(500, "server_error"),
}

STATUSES = {code: row.status for code, row in TABLE.items()}
CLOSE: Header = (b"connection", b"close")


class ErrorDetail(msgspec.Struct):
    """What went wrong; ``param`` is the field at fault, ``code`` a stable word for programs."""

    message: str
    type: str
    param: str | None
    code: str
    tokens_emitted: TokensEmitted = UNSET


class ErrorBody(msgspec.Struct):
    """Body of every answer that is an error."""

    error: ErrorDetail


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one API family tells an error: the status of every code, and the JSON, a ``body``.

    ``make`` gets the error and its status. ``statuses`` holds every code; ``reasons`` those reasons
    of an error that have a status of their own. ``key_in_body`` says that the family's clients put
    their key there.
    """

    name: str
    statuses: Mapping[Code, int]
    body: type
    make: Callable[[ServeError, int], object]
    reasons: Mapping[str, int] = field(default_factory=dict)
    key_in_body: bool = False


class HttpError(ServeError):
    """An error that HTTP itself has a status for."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        reason: str,
        code: Code = Code.INVALID_ARGUMENT,
        headers: tuple[Header, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(code, message, reason=reason, retry_after_s=retry_after_s)
        self.status = status
        self.headers = headers


class ClientGone(Exception):  # noqa: N818 - not an error of anyone's
    """The client left before its answer was complete."""


def _openai(error: ServeError, _status: int) -> ErrorBody:
    kind, reason = TABLE[error.code].type, error.reason.lower()
    return ErrorBody(ErrorDetail(error.message, kind, error.param, reason, error.tokens_emitted))


# What is spoken where no other family's path is asked for.
OPENAI = Dialect("Error", STATUSES, ErrorBody, _openai)


def status_of(error: ServeError, dialect: Dialect = OPENAI) -> int:
    """Return the status of an error."""
    if isinstance(error, HttpError):
        return error.status
    return dialect.reasons.get(error.reason) or dialect.statuses[error.code]


def headers_of(error: ServeError) -> list[Header]:
    """Return what tells a client whether and when to try again."""
    row = TABLE[error.code]
    headers = list(error.headers) if isinstance(error, HttpError) else []
    if error.code is Code.UNAUTHENTICATED:
        headers.append((b"www-authenticate", b"Bearer"))
    if (wait_s := error.retry_after_s) is not None:
        headers.append((b"retry-after", b"%d" % math.ceil(wait_s)))
        headers.append((b"retry-after-ms", b"%d" % math.ceil(wait_s * 1000)))
    elif row.status >= 500 or error.code is Code.SUPERSEDED:  # noqa: PLR2004 - retried by default
        headers.append((b"x-should-retry", b"false"))
    return headers


def body_of(error: ServeError, dialect: Dialect = OPENAI) -> bytes:
    """Return the JSON of an error."""
    return msgspec.json.encode(dialect.make(error, status_of(error, dialect)))
