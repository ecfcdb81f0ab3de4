"""The suggestion cache: whoever types what was suggested is shown the rest of it, for nothing.

A suggestion is found again at every word of it, by a digest of all that it depends on (tenant,
model, settings, suffix, other files) and of the text up to the last white space; what was typed of
the word itself is compared. So a lookup is one digest, and of what users write the cache holds the
suggestions alone, and the word that each began in.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from hexkey.types import Autocomplete

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hexkey.config import AutocompleteConfig
    from hexkey.types import FinishReason, Request

MAX_ANCHORS = 64
"""Words of one suggestion at which it is found again."""
ANCHOR_BYTES = 160
"""What an anchor takes beside the text: a digest, a tuple, a place in a table."""
_SPACE = " \n\t\r"
_encode = msgspec.msgpack.encode


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What completes a text, and why it ended there."""

    text: str
    reason: FinishReason


class Question:
    """A text that may be completed from the cache, and all that its completion depends on."""

    __slots__ = ("_scope", "head", "tail")

    def __init__(self, scope: blake2b, prefix: str) -> None:
        self._scope = scope
        cut = 1 + max(map(prefix.rfind, _SPACE))
        self.head, self.tail = prefix[:cut], prefix[cut:]

    def typed_since(self, older: Question) -> str | None:
        """Return what was typed after an older question; None where anything else differs."""
        mine, its = self.head + self.tail, older.head + older.tail
        if self._scope.digest() != older._scope.digest() or not mine.startswith(its):
            return None
        return mine[len(its) :]

    def anchors(self, following: str = "") -> Iterator[tuple[bytes, int]]:
        """Yield (digest, position) of the last white space, and of each that follows.

        Positions count from the last white space of the text.
        """
        digest = self._scope.copy()
        digest.update(_bytes(self.head))
        yield digest.digest(), 0
        whole = self.tail + following
        begin = 0
        for position in range(len(self.tail), len(whole)):
            if whole[position] in _SPACE:
                digest.update(_bytes(whole[begin : position + 1]))
                begin = position + 1
                yield digest.digest(), begin


def question(request: Request, model: str, version: int = 0) -> Question | None:
    """Return what to ask the cache; None where the answer is left to chance, or is no text alone.

    ``version`` is that of the configuration: a model of a name need not be the one of before.
    Only requests that name a session are answered from it: who measures or compares does not type.
    """
    payload = request.payload
    if not isinstance(payload, Autocomplete) or not payload.session or payload.tokens:
        return None
    sampling = payload.sampling
    if sampling.temperature or sampling.n != 1 or sampling.logprobs:
        return None
    rest = msgspec.structs.replace(payload, prefix="", session="")
    depends = _encode((request.tenant, model, version, rest))
    return Question(blake2b(depends, digest_size=16), payload.prefix)


class _Entry:
    """A suggestion as it is kept: ``text`` begins with the ``stem`` of a word typed before it."""

    __slots__ = ("anchors", "expires", "reason", "size", "stem", "text")

    def __init__(self, text: str, stem: int, reason: FinishReason, expires: float) -> None:
        self.text = text
        self.stem = stem
        self.reason = reason
        self.expires = expires
        self.anchors: list[bytes] = []
        self.size = 0


class Suggestions:
    """A bounded number of suggestions in a bounded number of bytes, the least used leave first."""

    def __init__(self, config: AutocompleteConfig) -> None:
        self.config = config
        self.size = 0
        self._entries: OrderedDict[_Entry, None] = OrderedDict()
        self._anchors: dict[bytes, tuple[_Entry, int]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        self._anchors.clear()
        self.size = 0

    def find(self, asked: Question, now: float) -> Suggestion | None:
        """Return what is left of an earlier suggestion that the text follows, else None."""
        digest, _ = next(asked.anchors())
        entry, position = self._anchors.get(digest, (None, 0))
        if entry is None:
            return None
        if entry.expires <= now:
            self._drop(entry)
            return None
        typed = position + len(asked.tail)
        if not entry.text.startswith(asked.tail, position) or not entry.stem <= typed:
            return None
        self._entries.move_to_end(entry)
        rest = entry.text[typed:]
        return Suggestion(rest, entry.reason) if rest.strip() else None

    def store(self, asked: Question, given: Suggestion, now: float) -> None:
        """Keep a whole suggestion."""
        text, stem = asked.tail + given.text, len(asked.tail)
        entry = _Entry(text, stem, given.reason, now + self.config.cache_ttl_s)
        for count, (digest, position) in enumerate(asked.anchors(given.text)):
            if count == MAX_ANCHORS or position == len(text):
                break
            entry.anchors.append(digest)
            self._anchors[digest] = (entry, position)
        entry.size = len(_bytes(text)) + ANCHOR_BYTES * (1 + len(entry.anchors))
        self._entries[entry] = None
        self.size += entry.size
        while len(self._entries) > self.config.cache_entries or self.size > self.config.cache_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, entry: _Entry) -> None:
        del self._entries[entry]
        self.size -= entry.size
        for digest in entry.anchors:
            if self._anchors.get(digest, (None, 0))[0] is entry:
                del self._anchors[digest]


def _bytes(text: str) -> bytes:
    # A JSON string may hold half of a surrogate pair, which is no character.
    return text.encode("utf-8", "surrogatepass")
