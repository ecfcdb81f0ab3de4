"""Watches one host: tells when it must be replaced, and why."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hexkey.engines.process import ending
from hexkey.engines.watchdog import Watchdog

if TYPE_CHECKING:
    from hexkey.engines.process import HostProcess

WATCH_S = 0.25
_EXIT_S = 1.0
"""How long the exit status of a host is waited for that has closed its socket."""


async def watch(host: HostProcess, stall_timeout_s: float) -> str:
    """Return why a host must be replaced, once it must; requests of one that stalls have failed."""
    loop = asyncio.get_running_loop()
    ended = asyncio.ensure_future(host.wait())
    watchdog = Watchdog(stall_timeout_s, loop.time(), host.cpu_s)
    try:
        while not ended.done():
            await asyncio.wait({ended}, timeout=WATCH_S)
            stuck = watchdog.look(loop.time(), host.link.last_frame, host.cpu_s)
            if host.dying:
                host.link.abort("the engine's process ended while it served this request")
            if host.link.closed:
                # Its exit status tells more, and comes last.
                await asyncio.wait({ended}, timeout=_EXIT_S)
                break
            if stuck is not None:
                host.link.abort(stuck)
                return "stall"
    finally:
        ended.cancel()
    return ending(host.returncode)
