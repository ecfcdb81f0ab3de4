"""Says how much of a prompt the KV cache already holds, which the library keeps to itself.

It mirrors the library's prefix cache (openvino-genai 2026, block_manager.hpp): blocks of 32 tokens
are known by everything up to their end; a whole one is looked for first, then one that a sequence
has filled in part. The count is exact until the cache has been filled once, and close after that:
the library then overwrites blocks in an order that it does not tell.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK_TOKENS = 32  # fixed by the library for the CPU


class PrefixMirror:
    """What a cache of ``blocks`` blocks holds; 0 blocks stand for no prefix caching."""

    def __init__(self, blocks: int) -> None:
        self._capacity = blocks
        self._known: OrderedDict[int, None] = OrderedDict()

    def restore(self, prompt: Sequence[int]) -> int:
        """Return how many tokens of a new prompt need no computing; one always does."""
        key, found = 0, 0
        while found < len(prompt):
            block = tuple(prompt[found : found + BLOCK_TOKENS])
            after = hash((key, block))
            if after not in self._known:
                return found + self._restore_part(key, block)
            self._known.move_to_end(after)
            key, found = after, found + len(block)
        return min(found, len(prompt) - 1)

    def learn(self, content: Sequence[int]) -> int:
        """Remember that the cache holds ``content``; return a name for its part of a block."""
        key = tail = 0
        for start in range(0, len(content) if self._capacity else 0, BLOCK_TOKENS):
            block = tuple(content[start : start + BLOCK_TOKENS])
            key = hash((key, block))
            self._known[key] = None
            self._known.move_to_end(key)
            tail = key if len(block) < BLOCK_TOKENS else 0
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return tail

    def forget(self, tail: int) -> None:
        """A sequence goes on in the part of a block of that name, so nobody finds it any more."""
        self._known.pop(tail, None)

    def _restore_part(self, key: int, block: tuple[int, ...]) -> int:
        for size in range(1, len(block)):
            part = hash((key, block[:size]))
            if part in self._known:
                self.forget(part)
                return size
        return 0
