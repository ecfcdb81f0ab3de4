"""The stop rules of an autocompletion: where it ends by itself.

``line``      the first newline after something that is not blank. Newlines before are kept: the
              model says that the cursor's line was complete, and completes the next one. With
              text right of the cursor the line cannot be complete, so there any newline ends.
``sentence``  after ``. ! ? …`` (and closing quotes or brackets) that white space follows, after
              their wide forms whatever follows, or at a blank line after text. Abbreviations,
              initials, "3.14" and the "1." of a list do not end it.
``block``     with an unindented cursor line: a blank line. Else: before a line indented less than
              the cursor's; when it follows at once and holds only closing brackets or ``end`` it
              still belongs to the block, unless the suffix begins with it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hexkey.engines.cuts import Cut
from hexkey.text.abbreviations import INSIDE
from hexkey.types import StopRule

if TYPE_CHECKING:
    from hexkey.engines.cuts import Finder

_NEWLINES = "\n\r"
_TERMINATORS = ".!?…"
_WIDE_TERMINATORS = "\u3002\uff01\uff1f"  # the full stop and the marks of Chinese and Japanese
_CLOSERS = "\"'”’»›)]}」』）】》"  # noqa: RUF001 - typographic on purpose
_OPENERS = "([{\"'“‘«"  # noqa: RUF001 - typographic on purpose
_TAB = 4
_WORD_MEMORY = 40
_CLOSING_LINE = re.compile(r"(?:[)\]}]+[;,]?|end[;,]?)")
_CLOSING_LINE_START = re.compile(r"(?:[)\]}]+[;,]?|e|en|end[;,]?)")
_LIST_NUMBER = re.compile(r"\d{1,3}|[a-z]", re.IGNORECASE)


def find_rule(rule: StopRule, prefix: str, suffix: str, language: str) -> Finder | None:
    """Return the finder of a stop rule for a cursor between ``prefix`` and ``suffix``."""
    match rule:
        case StopRule.NONE:
            return None
        case StopRule.LINE:
            return Line(suffix)
        case StopRule.SENTENCE:
            return Sentence(prefix, language)
        case StopRule.BLOCK:
            return Block(prefix, suffix)


class Line:
    """The rule ``line``."""

    hold = None

    def __init__(self, suffix: str) -> None:
        self._content = bool(suffix.split("\n", 1)[0].strip())
        self._at = 0

    def scan(self, text: str) -> Cut | None:
        """Look for a newline after content."""
        for at, character in enumerate(text, self._at):
            if character in _NEWLINES:
                if self._content:
                    return Cut(at + 1, at)
            elif not character.isspace():
                self._content = True
        self._at += len(text)
        return None

    def end(self) -> int | None:
        """Nothing to cut."""
        return None


class Sentence:
    """The rule ``sentence``."""

    def __init__(self, prefix: str, language: str) -> None:
        self._abbreviations = INSIDE[""] | INSIDE.get(language.lower()[:2], frozenset())
        self._content = False
        self._at = 0
        self._newline: int | None = None
        self._end: int | None = None
        self._wide = False
        self._marks = ""
        line = prefix.rpartition("\n")[2]
        words = line[-_WORD_MEMORY:].split(" ")
        self._word = words[-1]
        self._first_word = not line[: len(line) - len(self._word)].strip()

    def scan(self, text: str) -> Cut | None:
        """Look for a terminator that what follows confirms, and for a blank line."""
        for at, character in enumerate(text, self._at):
            end = None
            if self._end is not None:
                end = self._confirm(character, at)
            if self._end is None:
                end = self._read(character, at)
            if end is not None:
                return Cut(at + 1, end)
        self._at += len(text)
        return None

    def _confirm(self, character: str, at: int) -> int | None:
        """Read what follows a terminator: more of it, a proof, or neither."""
        if character in _CLOSERS or character in _TERMINATORS or character in _WIDE_TERMINATORS:
            self._terminate(character, at)
            return None
        if self._wide or (character.isspace() and self._closes()):
            return self._end
        self._end = None
        self._word += self._marks
        return None

    def _read(self, character: str, at: int) -> int | None:
        """Read a character of a word, between words or between lines."""
        if character in _NEWLINES:
            if self._newline is None and self._content:
                self._newline = at
            elif self._newline is not None:
                return self._newline
            self._word, self._first_word = "", True
        elif character.isspace():
            self._first_word = self._first_word and not self._word
            self._word = ""
        else:
            self._content, self._newline = True, None
            if character in _TERMINATORS or character in _WIDE_TERMINATORS:
                self._marks, self._wide = "", False
                self._terminate(character, at)
            else:
                self._word = (self._word + character)[-_WORD_MEMORY:]
        return None

    def _terminate(self, character: str, at: int) -> None:
        self._marks = (self._marks + character)[-_WORD_MEMORY:]
        self._wide = self._wide or character in _WIDE_TERMINATORS
        self._end = at + 1

    def _closes(self) -> bool:
        """Tell whether the terminator after the current word ends the sentence."""
        if self._marks.rstrip(_CLOSERS) != ".":
            return True
        word = self._word.lstrip(_OPENERS).lower()
        if word in self._abbreviations or "." in word:
            return False
        if self._first_word and _LIST_NUMBER.fullmatch(word):
            return False
        return not (len(word) == 1 and word.isalpha())

    @property
    def hold(self) -> int | None:
        """A terminator or newline that is not confirmed yet."""
        return self._newline if self._end is None else self._end

    def end(self) -> int | None:
        """A last terminator ends the text anyway."""
        return None


class Block:
    """The rule ``block``."""

    def __init__(self, prefix: str, suffix: str) -> None:
        line = prefix.rpartition("\n")[2]
        self._indent = _width(line[: len(line) - len(line.lstrip())])
        self._suffix = suffix.lstrip()
        self._content = False
        self._at = 0
        self._newline: int | None = None  # the first one after the last line with content
        self._blank = False  # whether a blank line followed it
        self._column: int | None = None  # in the white space that a line begins with
        self._closing = ""  # a less indented line that may still belong to the block
        self._before = 0  # where the output ends if it does not

    def scan(self, text: str) -> Cut | None:
        """Look at what each line begins with."""
        for at, character in enumerate(text, self._at):
            if self._closing:
                end = self._close(character, at)
            elif character in _NEWLINES:
                end = self._break(at)
            else:
                end = self._begin(character)
            if end is not None:
                return Cut(at + 1, end)
        self._at += len(text)
        return None

    def _break(self, at: int) -> int | None:
        """Read a newline."""
        self._column = 0
        if self._newline is not None:
            self._blank = True
            return None if self._indent else self._newline
        if self._content or self._indent:
            self._newline, self._blank = at, False
        return None

    def _begin(self, character: str) -> int | None:
        """Read a character that counts only if its line begins with it."""
        if character.isspace():
            if self._column is not None:
                self._column = _width(character, self._column)
            return None
        self._content = True
        newline, column = self._newline, self._column
        self._newline = self._column = None
        if newline is None or column is None or column >= self._indent:
            return None
        if self._blank or not _CLOSING_LINE_START.fullmatch(character):
            return newline
        self._newline = self._before = newline
        self._closing = character
        return None

    def _close(self, character: str, at: int) -> int | None:
        """Read on in a line that may hold only closing brackets."""
        if character in _NEWLINES:
            return self._closed(at)
        self._closing += character
        return None if _CLOSING_LINE_START.fullmatch(self._closing.strip()) else self._before

    def _closed(self, at: int) -> int:
        """Where the output ends after a whole closing line that ends ``at``."""
        line = self._closing.strip()
        owned = _CLOSING_LINE.fullmatch(line) and not self._suffix.startswith(line)
        return at if owned else self._before

    @property
    def hold(self) -> int | None:
        """The newline before a line that is not known yet."""
        return self._newline

    def end(self) -> int | None:
        """Decide about a closing line that nothing follows."""
        return self._closed(self._at) if self._closing else None


def _width(indentation: str, start: int = 0) -> int:
    """Columns after white space that begins in column ``start``; a tab goes to the next stop."""
    for character in indentation:
        start += _TAB - start % _TAB if character == "\t" else 1
    return start
