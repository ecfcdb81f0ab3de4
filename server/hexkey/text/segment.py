# ruff: noqa: RUF001  typographic quotes and wide punctuation are meant
"""Cut a text into sentences to translate and everything between them, losing nothing.

Every line break is a boundary, and so is what stands between columns. Else a sentence ends at a
terminator, unless the words around it say otherwise (Unicode UAX #29 gives the terminators; the
exceptions are ours).
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

from hexkey.text import abbreviations
from hexkey.text.placeholders import Placeholder, find, has_words

MAX_CHARS = 400
"""About 128 tokens of a language written with spaces."""

_MIN_FILL = 0.4  # a soft cut leaves at least this share of `max_chars` before it
_LOOKBACK = 24  # characters read before a stop to recognise an abbreviation

_INDENT = re.compile(
    r"\ufeff?\s*(?:(?:[-*+•‣◦·>–—]|#{1,6}|\[[ xX]\]|\d{1,3}[.)]|\(\d{1,3}\)|[A-Za-z]\))\s+)*"
)
_FENCE = re.compile(r"\s*(```|~~~)(?!.*\1)")
_CODE = re.compile(
    r""" >>>\s | \$\s+[a-z][\w-]*\s | \#!/ | \#include\b
      | [\w.\[\]]{1,80}\s?[-+*/:]?=\s?\S{1,200};?$            # x = 1
      | [\w.]{1,80}\((?![a-z]{1,2}\))[^\s()]{0,200}\);?$      # call(x), not file(s)
      | .{0,400}\)\s?\{$ | .{0,400}=.{0,400};$                # if (x) {
    """,
    re.VERBOSE,
)
_CLOSERS = r"""["'”’»›)\]」』】》〉）］*_]"""
_END = re.compile(rf"(?P<stop>[.!?…。！？｡．؟۔।॥‼⁇⁈⁉]+){_CLOSERS}*(?:[ \u00a0\u202f]»(?!\w))?")
_WIDE_STOPS = frozenset("。！？｡．")
_OPENERS = "\"'“‘«‹([{¿¡「『【《〈（*_—–- "
_CLAUSE = re.compile(r"[;:,—–](?=\s)|[、，；：،؛]")
_SPACE = re.compile(r"\s+")
_GAP = re.compile(r"\s{3,}|[\t\u2001\u2003\u3000]|\s\s(?=(.))")
"""What stands between columns; two spaces before a small letter do not in what looks like prose."""
_PROSE = re.compile(r"\S\s\S|[.!?…]\s*\Z")
_FIELDS = re.compile(r"(?<=[\w\"]);(?=[\w\"])|(?<=\"),(?=\")")  # CSV: prose has a space after it
_WORD_BEFORE = re.compile(r"[\w.'°-]*$")
_INITIALS = re.compile(r"(?:^|[.-])[^\W\d_]$")
_MAX_ORDINAL = 2  # digits: `31. Oktober`, but `2024.` ends


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the source: one sentence to translate, or text to keep as it is."""

    text: str
    translate: bool


def segment(text: str, language: str | None = None, *, max_chars: int = MAX_CHARS) -> list[Piece]:
    """Return the pieces of `text`, whose texts, joined, are `text` again; see `pieces`."""
    return list(pieces(text, language, max_chars=max_chars))


def pieces(
    text: str, language: str | None = None, *, max_chars: int = MAX_CHARS
) -> Iterator[Piece]:
    """Cut `text` line by line as the pieces are asked for, so that a book costs no more at once.

    `language` is a BCP 47 tag, or None for the rules all languages share. No piece to translate
    is empty, starts or ends with white space, or is longer than `max_chars` unless a placeholder
    alone is. Raises ValueError when `max_chars` is not positive.
    """
    if max_chars < 1:
        raise ValueError(f"max_chars must be positive, not {max_chars}")
    primary = re.split("[-_]", language or "", maxsplit=1)[0].lower()
    verbatim: list[str] = []
    for source, translate in filter(itemgetter(0), _pieces(text, primary, max_chars)):
        if not translate:
            verbatim.append(source)
            continue
        if verbatim:
            yield Piece("".join(verbatim), translate=False)
            verbatim.clear()
        yield Piece(source, translate=True)
    if verbatim:
        yield Piece("".join(verbatim), translate=False)


def _pieces(text: str, language: str, max_chars: int) -> Iterator[tuple[str, bool]]:
    fenced = ""
    for line in text.splitlines(keepends=True):
        fence = _FENCE.match(line)
        body = line.rstrip()
        if fenced or fence or not has_words(body):
            yield line, False
            if fence and fenced in {"", fence[1]}:
                fenced = "" if fenced else fence[1]
            continue
        indent = _INDENT.match(body)
        start = indent.end() if indent else 0
        yield line[:start], False
        if _CODE.match(body, start):
            yield body[start:], False
        else:
            yield from _Line(body[start:], language).pieces(max_chars)
        yield line[len(body) :], False


class _Line:
    """One line without its break: where its sentences end."""

    def __init__(self, text: str, language: str) -> None:
        self.text = text
        self.language = language
        self.kept: list[Placeholder] = list(find(text))
        self.starts = [placeholder.start for placeholder in self.kept]

    def pieces(self, max_chars: int) -> Iterator[tuple[str, bool]]:
        start = 0
        for end in self._boundaries():
            yield from self._cut(start, end, max_chars)
            start = end

    def _boundaries(self) -> Iterator[int]:
        """Yield the ascending ends of the sentences; the last is the end of the line."""
        ends = {edge for kept in self.kept if kept.breaks for edge in (kept.start, kept.end)}
        prose = _PROSE.search(self.text) is not None
        for gap in _GAP.finditer(self.text):
            if not (prose and (gap[1] or "").islower()):
                ends.add(gap.end())
        ends.update(edge for one in _FIELDS.finditer(self.text) for edge in one.span())
        for match in _END.finditer(self.text):
            if self._around(match.start()) is None:
                end = self._past_closing_tags(match.end())
                if self._ends(match, end):
                    ends.add(end)
        ends.discard(0)
        yield from sorted(end for end in ends if not self._splits(end))
        yield len(self.text)

    def _splits(self, position: int) -> bool:
        """Tell whether a cut before `position` would go through a placeholder."""
        kept = self._around(position)
        return kept is not None and kept.start < position

    def _around(self, position: int) -> Placeholder | None:
        """Return the placeholder that holds the character at `position`."""
        index = bisect_right(self.starts, position) - 1
        if index >= 0 and position < self.kept[index].end:
            return self.kept[index]
        return None

    def _past_closing_tags(self, end: int) -> int:
        while (tag := self._around(end)) and tag.start == end and tag.text.startswith("</"):
            end = tag.end
        return end

    def _ends(self, match: re.Match[str], end: int) -> bool:
        text, stop = self.text, match["stop"]
        if end == len(text):
            return True
        if not _WIDE_STOPS.isdisjoint(stop):
            return not (self.language == "ja" and text[end] in "とって")
        if not text[end].isspace() and text[end] != "<":
            return False
        follows = text[end : end + _LOOKBACK].lstrip(_OPENERS + "\t\u00a0\u3000")[:1]
        if follows.islower():
            return False
        return stop != "." or not self._is_inner(match.start(), follows)

    def _is_inner(self, stop: int, follows: str) -> bool:
        """Tell whether the stop at `stop` belongs to the word before it."""
        near = self.text[max(0, stop - _LOOKBACK) : stop]
        found = _WORD_BEFORE.search(near)
        raw = found[0] if found else ""
        word = raw.lower()
        if raw.isdigit():
            ordinal = self.language in abbreviations.ORDINAL_STOP
            return ordinal and len(raw) <= _MAX_ORDINAL and not follows.isdigit()
        if word in abbreviations.either(self.language):
            return not follows.isupper()
        if word in abbreviations.inside(self.language):
            return follows.isdigit() or word not in abbreviations.BEFORE_NUMBER
        pronoun = raw == "I" and self.language in {"", "en"}
        return not pronoun and raw[-1:].isupper() and _INITIALS.search(raw) is not None

    def _cut(self, start: int, end: int, max_chars: int) -> Iterator[tuple[str, bool]]:
        """Yield `text[start:end]`, one sentence, in parts of at most `max_chars`."""
        stop = start + len(self.text[start:end].rstrip())
        while start < stop:
            if lead := _SPACE.match(self.text, start, stop):
                yield lead[0], False
                start = lead.end()
            cut = stop if stop - start <= max_chars else self._soft_cut(start, start + max_chars)
            part = self.text[start:cut]
            bare = part.rstrip()
            yield bare, has_words(bare)
            yield part[len(bare) :], False
            start = cut
        yield self.text[stop:end], False

    def _soft_cut(self, start: int, limit: int) -> int:
        """Return the best place to cut in `text[start:limit]`, never inside a placeholder."""
        floor = start + int((limit - start) * _MIN_FILL)
        best = 0
        for pattern in (_CLAUSE, _SPACE):
            for match in pattern.finditer(self.text, floor, limit):
                if self._around(match.end() - 1) is None:
                    best = match.end()
            if best:
                return best
        kept = self._around(limit)
        if kept is not None and kept.start < limit:
            return kept.start if kept.start > start else kept.end
        while limit - start > 1 and unicodedata.category(self.text[limit])[0] == "M":
            limit -= 1
        return limit
