"""Sleep for a model that nobody asks: its GPU memory is free for others until the next request."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM

_LEVEL = 1
"""Weights move to the machine's memory and the KV cache is dropped, prefixes included."""


class Sleeper:
    """Sends an EngineCore to sleep after ``after_s`` seconds without a request; 0 never does.

    Whoever has work for it awaits ``wake`` first. What was said is done in the order of the calls.
    """

    def __init__(self, llm: AsyncLLM, after_s: float) -> None:
        self._llm = llm
        self._after_s = after_s
        self._since = time.monotonic()
        self._asleep = False
        self._turn = asyncio.Lock()

    async def rest(self, *, busy: bool) -> None:
        """Go to sleep if it is time; called every second or so while there is no request."""
        async with self._turn:
            idle_s = time.monotonic() - self._since
            if self._asleep or busy or not self._after_s or idle_s < self._after_s:
                return
            await self._llm.sleep(_LEVEL)
            self._asleep = True

    async def wake(self) -> None:
        """Return once the model can compute."""
        self._since = time.monotonic()
        async with self._turn:
            if self._asleep:
                await self._llm.wake_up()
                self._asleep = False

    def worked(self) -> None:
        """A step was done: idle time begins anew."""
        self._since = time.monotonic()
