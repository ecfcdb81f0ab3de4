"""The built-in page at ``/dashboard``: what the server does and costs, and a place to try it.

The files are for everybody, since they say nothing of this server; its numbers need a key where
keys are needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexkey.wire.http.access import Access
from hexkey.wire.http.dashboard import assets
from hexkey.wire.http.operation import Operation

if TYPE_CHECKING:
    from hexkey.wire.http.dashboard.feed import Feed


def operations(feed: Feed) -> tuple[Operation, ...]:
    """Return what is served below ``/dashboard``; a page is no API, so no document names it."""
    # Read and packed now: the first viewer must not make tokens on their way wait for that.
    assets.assets()
    return (
        Operation("GET", "/dashboard", assets.page, None, access=Access.OPEN),
        Operation("GET", "/dashboard/feed", feed.serve, None, access=Access.METRICS),
        Operation("GET", "/dashboard/{file:path}", assets.file, None, access=Access.OPEN),
    )
