"""Watches one host: tells when it must be replaced, and why."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hexkey.engines.process import ending

if TYPE_CHECKING:
    from hexkey.engines.process import HostProcess

WATCH_S = 0.25
_EXIT_S = 1.0
"""How long the exit status of a host is waited for that has closed its socket."""


async def watch(host: HostProcess, stall_timeout_s: float) -> str:
    """Return why a host must be replaced, once it must; requests of one that stalls have failed."""
    loop = asyncio.get_running_loop()
    ended = asyncio.ensure_future(host.wait())
    strikes = 0
    try:
        while not ended.done():
            await asyncio.wait({ended}, timeout=WATCH_S)
            # Two looks in a row: one alone could be our own loop catching up.
            late = loop.time() - host.link.last_frame > stall_timeout_s
            strikes = strikes + 1 if late else 0
            if host.dying:
                host.link.abort("the engine's process ended while it served this request")
            if host.link.closed:
                # Its exit status tells more, and comes last.
                await asyncio.wait({ended}, timeout=_EXIT_S)
                break
            if strikes > 1:
                host.link.abort(f"the engine made no progress for {stall_timeout_s:g} s")
                return "stall"
    finally:
        ended.cancel()
    return ending(host.returncode)
