"""Turns the bytes of one output's tokens into the text a caller gets, as early as it is certain.

What is given out is never taken back, so text waits while it may still turn out to be a stop
string, to lie behind a stop rule's cut, or to repeat the suffix. The output is always a beginning
of what the model wrote, and the same however the bytes were split.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from hexkey.engines.cuts import Cut, StopStrings
from hexkey.engines.stoprules import find_rule
from hexkey.engines.suffix import Overlap
from hexkey.types import StopRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hexkey.engines.cuts import Finder

_utf8 = codecs.getincrementaldecoder("utf-8")


class TextStream:
    """One output: ``feed`` it tokens as bytes, then ``end`` it.

    ``finished`` turns true when the text is complete by a stop string, which ``stop`` then is, by a
    stop rule or the suffix; what is fed after that is ignored. Bytes that are no UTF-8 become
    U+FFFD; a character that the output's end leaves incomplete is dropped.
    """

    def __init__(
        self,
        *,
        stop: Sequence[str] = (),
        rule: StopRule = StopRule.NONE,
        prefix: str = "",
        suffix: str = "",
        language: str = "",
    ) -> None:
        self.finished = False
        self.stop = ""
        self._decoder = _utf8(errors="replace")
        self._held = ""
        self._given = 0
        self._overlap = Overlap(prefix, suffix) if suffix else None
        finders: list[Finder | None] = [
            StopStrings(stop) if stop else None,
            find_rule(rule, prefix, suffix, language),
        ]
        self._finders = [finder for finder in finders if finder is not None]

    @property
    def open(self) -> bool:
        """Whether no text can complete this output, so that only the model ends it."""
        return not self._finders and self._overlap is None

    def feed(self, data: bytes) -> str:
        """Return the text that ``data`` makes certain; it may be empty."""
        text = self._decoder.decode(data)
        if self.finished or not text:
            return ""
        if self.open:
            return text
        self._held += text
        cut = self._first_cut(text)
        if cut is not None:
            self.finished, self.stop = True, cut.stop
            return self._give(cut.at)
        return self._give(self._certain())

    def end(self) -> str:
        """Return the rest, once the model has ended or may generate no more."""
        if self.finished:
            return ""
        self.finished = True
        at = self._given + len(self._held)
        whole = None if self._overlap is None else self._overlap.end()
        cuts = [cut for finder in self._finders if (cut := finder.end()) is not None]
        at = self._trimmed(min(cuts, default=at))
        return self._give(at if whole is None else min(at, whole))

    def _first_cut(self, text: str) -> Cut | None:
        """Where the output ends by what is known first; of equals, the shortest output."""
        whole = None if self._overlap is None else self._overlap.scan(text)
        cuts = [cut for finder in self._finders if (cut := finder.scan(text)) is not None]
        # Behind a whole landmark nothing was matched, so nothing there can be trimmed.
        ends = [
            cut._replace(at=self._trimmed(cut.at))
            for cut in cuts
            if whole is None or cut.decided <= whole.decided
        ]
        if whole is not None:
            ends.append(whole)
        return min(ends, default=None)

    def _certain(self) -> int:
        """How far the output can be given out whatever follows."""
        total = self._given + len(self._held)
        overlap = self._overlap
        holds = [hold for finder in self._finders if (hold := finder.hold) is not None]
        if overlap is None:
            return min(holds, default=total)
        certain = min(at - overlap.longest(at) for at in (total, *holds))
        return certain if overlap.hold is None else min(certain, overlap.hold)

    def _trimmed(self, at: int) -> int:
        return at if self._overlap is None else at - self._overlap.trim(at)

    def _give(self, end: int) -> str:
        """Give out the held text up to position ``end``."""
        size = end - self._given
        text, self._held = self._held[:size], self._held[size:]
        self._given = end
        return text
