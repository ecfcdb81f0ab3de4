"""Keeps a completion from repeating the text that already stands right of the cursor.

The *landmark* is the suffix up to the end of its first line that is not blank (at most
``LANDMARK_CHARACTERS``). An output that has reproduced it whole ends before it. An output that
ends otherwise loses the end that equals the landmark's beginning. Two things keep that from
damaging text: a match must not begin inside a word (unless it is a whole landmark of several
words), nor a whole landmark end in one; and a closing bracket that closes one opened in the output
is the output's own.

Source of the matching: Knuth, Morris, Pratt, "Fast pattern matching in strings", 1977.
"""

from __future__ import annotations

import re

from hexkey.engines.cuts import Cut

LANDMARK_CHARACTERS = 200
_OPENERS = "([{"
_CLOSERS = ")]}"
_WORD = re.compile(r"\w+")


class Overlap:
    """The finder of the suffix in one output; see ``hexkey.engines.cuts.Finder``."""

    def __init__(self, prefix: str, suffix: str) -> None:
        self._mark = _landmark(suffix)
        self._fail = _borders(self._mark)
        self._significant = bool(self._mark.strip())
        self._phrase = len(_WORD.findall(self._mark)) > 1
        self._closer = self._significant and self._mark.lstrip()[0] in _CLOSERS
        self._within = [_is_word(prefix[-1:])]  # whether a word's character stands before it
        self._depth = [0]  # brackets open at each position
        self._state = [0]  # characters of the landmark that end at each position
        self._whole: int | None = None  # where a whole landmark begins, if no word goes on after it

    def scan(self, text: str) -> Cut | None:
        """Match on; O(1) amortised per character."""
        mark, fail, size = self._mark, self._fail, len(self._mark)
        state, depth = self._state[-1], self._depth[-1]
        for character in text:
            word = _is_word(character)
            if self._whole is not None:
                if not word:
                    return Cut(len(self._state), self._whole)
                self._whole = None
            if state == size:
                state = fail[state]
            while state and mark[state] != character:
                state = fail[state]
            state += mark[state] == character
            depth = depth + 1 if character in _OPENERS else max(0, depth - (character in _CLOSERS))
            self._state.append(state)
            self._depth.append(depth)
            self._within.append(word)
            at = len(self._state) - 1 - size
            if state == size and self._significant and self._may_begin(at, size):
                if not word:
                    return Cut(at + size, at)
                self._whole = at
        return None

    @property
    def hold(self) -> int | None:
        """The beginning of a whole landmark whose last word may go on."""
        return self._whole

    def end(self) -> int | None:
        """Cut before a whole landmark."""
        return self._whole

    def longest(self, at: int) -> int:
        """Most characters before ``at`` that ``trim`` may take."""
        return self._state[at]

    def trim(self, at: int) -> int:
        """Characters before ``at`` that repeat the suffix's beginning and may go."""
        size = self._state[at]
        while size and not self._may_begin(at - size, size):
            size = self._fail[size]
        return size

    def _may_begin(self, at: int, size: int) -> bool:
        """Tell whether ``size`` characters ``at`` may be the suffix's, not the output's own."""
        if self._closer and self._depth[at]:
            return False
        inside_word = self._within[at] and _is_word(self._mark[0])
        return not inside_word or (self._phrase and size == len(self._mark))


def _landmark(suffix: str) -> str:
    start = len(suffix) - len(suffix.lstrip())
    end = suffix.find("\n", start)
    line = suffix if end < 0 else suffix[:end]
    return (line.rstrip() or line)[:LANDMARK_CHARACTERS]


def _borders(text: str) -> list[int]:
    """Length of the longest proper border of each beginning of ``text``."""
    borders = [0] * (len(text) + 1)
    size = 0
    for end in range(1, len(text)):
        while size and text[size] != text[end]:
            size = borders[size]
        size += text[size] == text[end]
        borders[end + 1] = size
    return borders


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
