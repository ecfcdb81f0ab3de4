"""Who may ask for what: an operation says whom it is for, and the key says who asks."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

import msgspec

from hexkey.errors import ServeError
from hexkey.identity.keyring import ensure_admin, ensure_metrics
from hexkey.types import ANYBODY
from hexkey.wire.http import multipart

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.types import Caller
    from hexkey.wire.http.exchange import Exchange

_SCHEMES = {"bearer", "deepl-auth-key"}


class Access(Enum):
    """Whom an operation is for."""

    OPEN = auto()
    """Everybody, always."""
    CALLER = auto()
    """Everybody with a key, where keys are needed."""
    METRICS = auto()
    """The same, but a key that names other scopes only is not enough."""
    ADMIN = auto()
    """Those with an admin key, also where no keys are needed."""


class _WithKey(msgspec.Struct):
    api_key: str = ""


_BODY = msgspec.json.Decoder(_WithKey)


def admitted(exchange: Exchange, access: Access, service: Service) -> Caller:
    """Return who asks, if the operation is for them; ``ServeError`` if not."""
    if access is Access.OPEN:
        return ANYBODY
    caller = service.access.identify(_credential(exchange))
    try:
        if access is Access.ADMIN:
            ensure_admin(caller)
        elif access is Access.METRICS:
            ensure_metrics(caller)
    except ServeError as error:
        service.access.refused(error)
        raise
    return caller


def ensure_known(exchange: Exchange, service: Service) -> None:
    """Return unless the headers tell already that a needed key is not there; ``ServeError`` then.

    So nobody without a key has a body read.
    """
    key = _of_headers(exchange)
    if key or not exchange.dialect.key_in_body:
        service.access.identify(key)


def _of_headers(exchange: Exchange) -> str:
    headers = exchange.headers
    value = headers.get(b"authorization") or headers.get(b"x-api-key") or b""
    text = value.decode("latin-1")
    scheme, _, rest = text.partition(" ")
    return rest.strip() if scheme.lower() in _SCHEMES else text


def _credential(exchange: Exchange) -> str:
    """Return the key that a request holds in one of the places that clients put it."""
    key = _of_headers(exchange)
    if key or not exchange.dialect.key_in_body or b"api_key" not in exchange.body:
        return key
    try:
        return multipart.decode_any(_BODY, exchange).api_key
    except ServeError:
        return ""
