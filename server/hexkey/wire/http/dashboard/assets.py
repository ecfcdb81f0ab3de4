"""The page's files, read once from the package: with a tag, compressed, and tightly framed."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from hexkey.errors import Code
from hexkey.routing import shorten
from hexkey.wire.http.errors import HttpError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from hexkey.service import Service
    from hexkey.wire.http.errors import Header
    from hexkey.wire.http.exchange import Exchange

INDEX = "index.html"
TYPES = {
    "html": b"text/html; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
    "txt": b"text/plain; charset=utf-8",
}
# Nothing but what this server sends is loaded or asked, nothing inline runs, nobody frames it.
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    b"require-trusted-types-for 'script'; trusted-types 'none'"
)
_SECURITY: tuple[Header, ...] = (
    (b"content-security-policy", POLICY),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent. ``etag`` is of its content, so a new version is never stale."""

    type: bytes
    etag: bytes
    plain: bytes
    packed: bytes


async def page(exchange: Exchange, service: Service) -> None:  # noqa: ARG001 - a handler's signature
    """Send the page."""
    await _send(exchange, INDEX)


async def file(exchange: Exchange, service: Service) -> None:  # noqa: ARG001 - a handler's signature
    """Send one of the page's files."""
    await _send(exchange, exchange.scope["path_params"]["file"])


@cache
def assets() -> dict[str, Asset]:
    """Return the files by their path below ``/dashboard/``; no other path leads to a file."""
    return dict(_found(files("hexkey.wire.http.dashboard") / "static", ""))


def _found(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for one in folder.iterdir():
        path = prefix + one.name
        if one.is_dir():
            found += _found(one, f"{path}/")
        else:
            found.append((path, _asset(path, one.read_bytes())))
    return found


def _asset(path: str, plain: bytes) -> Asset:
    return Asset(
        type=TYPES[path.rpartition(".")[2]],
        etag=b'W/"%b"' % hashlib.sha256(plain).hexdigest()[:32].encode(),
        plain=plain,
        packed=gzip.compress(plain, mtime=0),
    )


async def _send(exchange: Exchange, path: str) -> None:
    asset = assets().get(path)
    if asset is None:
        raise HttpError(
            404,
            f"the dashboard has no file {shorten(path)!r}",
            reason="PATH_NOT_FOUND",
            code=Code.NOT_FOUND,
        )
    headers = [
        *_SECURITY,
        (b"etag", asset.etag),
        # Kept, but asked for each time: the answer is a 304 of no body.
        (b"cache-control", b"no-cache"),
        (b"vary", b"accept-encoding"),
    ]
    if asset.etag in exchange.headers.get(b"if-none-match", b""):
        await exchange.start(304, headers)
        await exchange.write(b"", more=False)
        return
    headers.append((b"content-type", asset.type))
    body = asset.plain
    if b"gzip" in exchange.headers.get(b"accept-encoding", b""):
        body = asset.packed
        headers.append((b"content-encoding", b"gzip"))
    await exchange.answer(200, body, headers)
