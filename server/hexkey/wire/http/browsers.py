"""Other people's web pages: what they may do, by their reader's browser, where no key is asked.

A browser reaches what its machine reaches. A page may have it send a request to any address
(cross-site), or have its own name stand for this server's address (DNS rebinding) and then read the
answers. Programs that are no browsers send no ``Origin`` and the name they were told, and pass.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hexkey.errors import Code
from hexkey.identity.access import is_loopback
from hexkey.wire.http.errors import HttpError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hexkey.wire.http.errors import Header

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
PREFLIGHT: tuple[Header, ...] = (
    (b"access-control-allow-methods", b"*"),
    (b"access-control-allow-headers", b"authorization, *"),
    (b"access-control-max-age", b"600"),
)
"""What such a page may send; the answers are to be asked by a browser before the page's request."""
_LOCAL = (".localhost", ".local", ".internal")
"""Names that nobody can have in the public DNS."""
_PROGRAMS = ("app://", "file://", "tauri://", "vscode-file://", "vscode-webview://")
"""What the pages of installed programs say they are from; no web page can."""


@dataclass(frozen=True, slots=True)
class Browsers:
    """Pages of ``origins`` may do what those of this machine may; ``hosts`` are our names.

    ``here`` says that the listener is on loopback, so that the name it is asked by tells something.
    """

    origins: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    here: bool = False

    def ensure_welcome(self, method: str, headers: Mapping[bytes, bytes]) -> None:
        """Return if a request may be some program's or a page's of ours; else ``HttpError``."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self.here and not self._ours(_name("//" + host)):
            raise HttpError(
                421,
                "this server has another name; name this one in access.hosts to be reached by it",
                reason="UNKNOWN_HOST",
                code=Code.PERMISSION_DENIED,
            )
        if method in _SAFE:
            return
        sent = headers.get(b"origin")
        if sent is None:
            foreign = headers.get(b"sec-fetch-site") == b"cross-site"
        else:
            foreign = not self._trusted(sent.decode("latin-1").lower(), host)
        if foreign:
            raise HttpError(
                403,
                "a page of another site asks this; name its origin in access.origins to let it",
                reason="FOREIGN_ORIGIN",
                code=Code.PERMISSION_DENIED,
            )

    def may_read(self, headers: Mapping[bytes, bytes]) -> bool:
        """Return whether a request is a page's that may read the answer, wherever it is from."""
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        host = headers.get(b"host", b"").decode("latin-1").lower()
        return bool(origin) and self._trusted(origin, host)

    def _ours(self, name: str) -> bool:
        # To rebind takes a name, so who asks for an address is sent by nobody else.
        return (
            not name
            or name in self.hosts
            or is_loopback(name)
            or name.endswith(_LOCAL)
            or _is_address(name)
        )

    def _trusted(self, origin: str, host: str) -> bool:
        name = _name(origin)
        return (
            origin in self.origins
            or origin.startswith(_PROGRAMS)
            or is_loopback(name)
            or name.endswith(".localhost")
            or (bool(host) and origin.partition("://")[2] == host)
        )


@lru_cache(maxsize=64)
def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return url


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
