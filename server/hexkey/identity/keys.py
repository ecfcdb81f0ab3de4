"""API keys: how one looks, and what is kept of it.

``hk_`` + 8 characters that name the key + ``_`` + 43 random ones (256 bits, base64url). What is
kept is the HMAC-SHA256 of the whole key under a pepper. A slow password hash would add nothing
against 256 random bits and would let anybody keep the server busy with wrong keys.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

import msgspec

PREFIX = "hk"
PEPPER_BYTES = 32
ADMIN, METRICS = "admin", "metrics"
_SECRET_BYTES = 32
_ID = "abcdefghijkmnpqrstuvwxyz23456789"
_ID_LENGTH = 8
_KEY = re.compile(r"hk_([a-z2-9]{8})_[A-Za-z0-9_-]{43}")
_SCOPE = re.compile(r"admin|metrics|(?:task|model):(?:\*|[A-Za-z0-9][A-Za-z0-9._/-]{0,127})")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a key. Times are seconds since 1970, UTC; ``expires`` 0 is never."""

    id: str
    digest: str
    tenant: str
    scopes: tuple[str, ...] = ()
    created: int
    expires: int = 0


def make(
    pepper: bytes, tenant: str, scopes: tuple[str, ...], *, now: int, expires: int = 0
) -> tuple[str, KeyRecord]:
    """Return a new key, which is told once, and its record.

    ``ValueError`` says what is wrong with the tenant or a scope.
    """
    if not is_tenant(tenant):
        raise ValueError(f"tenant {tenant!r}: letters, digits and . _ - only, 64 at most")
    for scope in scopes:
        if not _SCOPE.fullmatch(scope):
            raise ValueError(
                f"scope {scope!r}: expected task:NAME or model:NAME, * for all, metrics or admin"
            )
    name = "".join(secrets.choice(_ID) for _ in range(_ID_LENGTH))
    key = f"{PREFIX}_{name}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    record = KeyRecord(
        id=name,
        digest=digest(pepper, key),
        tenant=tenant,
        scopes=scopes,
        created=now,
        expires=expires,
    )
    return key, record


def is_tenant(name: str) -> bool:
    """Whether a tenant can be called so."""
    return _TENANT.fullmatch(name) is not None


def digest(pepper: bytes, key: str) -> str:
    """Return what is kept of a key, in hexadecimal."""
    return hmac.new(pepper, key.encode(), hashlib.sha256).hexdigest()


def has_form(key: str) -> bool:
    """Whether a text could be a key at all; nothing else is worth a hash."""
    return _KEY.fullmatch(key) is not None
