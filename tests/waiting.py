"""Waiting for what has no event: it comes to pass, or the test fails and says what did not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


def until(true: Callable[[], object], within_s: float = 20.0, what: str = "it") -> float:
    """Wait until ``true`` says so; return the seconds that took."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < within_s, f"{what} did not come to pass in {within_s} s"
        time.sleep(0.01)
    return time.monotonic() - begun


async def soon(true: Callable[[], object], within_s: float = 20.0, what: str = "it") -> float:
    """Wait in a loop until ``true`` says so; return the seconds that took."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < within_s, f"{what} did not come to pass in {within_s} s"
        await asyncio.sleep(0.005)
    return time.monotonic() - begun
