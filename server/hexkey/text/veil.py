"""Hide markup and terms from a translator behind short tokens, and put them back.

Every token has the form of a placeholder, so ``protect`` sees to it that each comes out as often as
it went in. What is markup is put back as it was; what is a glossary's term, as its translation.
"""

from __future__ import annotations

import html
import re
from itertools import count, groupby
from operator import itemgetter
from os.path import commonprefix
from typing import TYPE_CHECKING

from hexkey.text import literals
from hexkey.text.document import DocumentPlan
from hexkey.text.markup import Kind, Piece, cut
from hexkey.text.typography import Knows, knows_all
from hexkey.types import Format

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hexkey.text.literals import Write

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_XML_ENTITIES = {"&lt;", "&gt;", "&amp;", "&quot;", "&apos;"}
_SPACES = re.compile(r"(\s+)")
_BRACKETS = re.compile(r"[<>]")
_RISKY = re.compile(r"[{}<>`]")
_RUN = re.compile(r"\S*\Z")
_MARK = re.compile(r"q([0-9]{1,9})z")
STRAY = 48
"""More characters than ``placeholders`` takes together with a bracket before them."""
_LINE_BREAK = re.compile(r"[ \t\r]*\n\s*")
_PRE = re.compile(r"<pre[\s>]", re.IGNORECASE)
_PRE_END = re.compile(r"</pre\s*>", re.IGNORECASE)


class Veil:
    """A text with tokens in it; ``terms`` are (source, target) pairs, matched as whole words."""

    def __init__(
        self, source: str, form: Format = Format.TEXT, terms: Sequence[tuple[str, str]] = ()
    ) -> None:
        self._form = form
        taken = {int(number) for number in _MARK.findall(source)}
        self._mark = f"q{next(n for n in count() if n not in taken)}z"
        self._hidden: list[str] = []
        self._terms = {_lower(source): target for source, target in terms}
        self._term = _pattern(self._terms) if terms else None
        self._token = re.compile(rf"<(?:hr/)?{self._mark}(\d+)>|\{{\{{{self._mark}(\d+)\}}\}}")
        self.text = "".join(self._veiled(source))

    def lift(self, translated: str) -> str:
        """Return finished sentences with everything in its place again."""
        parts: list[str] = []
        position = 0
        for token in self._token.finditer(translated):
            parts += self._written(translated[position : token.start()])
            parts.append(self._hidden[int(token[1] or token[2])])
            position = token.end()
        return "".join([*parts, self._written(translated[position:])])

    def _veiled(self, source: str) -> Iterator[str]:
        if self._form is Format.TEXT:
            yield from self._values(source) if self._term else (source,)
            return
        edge = Piece(Kind.BLOCK, "")
        pieces = [edge, *cut(source, html=self._form is Format.HTML), edge]
        preformatted = False
        for before, piece, after in zip(pieces, pieces[1:], pieces[2:], strict=False):
            if piece.kind is Kind.TEXT:
                text = piece.text
                if self._form is Format.HTML and not preformatted:
                    text = _one_line(text, before.kind is Kind.BLOCK, after.kind is Kind.BLOCK)
                yield self._plain(text)
                continue
            preformatted = bool(_PRE.match(piece.text)) or (
                preformatted and not _PRE_END.match(piece.text)
            )
            yield self._hide(piece)

    def _values(self, source: str) -> Iterator[str]:
        """Yield prose, and JSON in whose values alone terms are looked for, as they are read."""
        for text, write in literals.texts(source):
            if write is None:
                yield text
            else:
                yield write(self._without_terms(text, write))

    def _hide(self, piece: Piece) -> str:
        number = len(self._hidden)
        self._hidden.append(piece.text)
        if piece.kind is Kind.WORD:
            return f"{{{{{self._mark}{number}}}}}"
        element = "hr/" if piece.kind is Kind.BLOCK else ""
        return f"<{element}{self._mark}{number}>"

    def _plain(self, text: str) -> str:
        """Return a stretch of text with its entities as characters.

        A run of characters that ``placeholders`` could take together with a token beside it, or
        that holds an entity nobody knows, is kept as it is.
        """
        parts: list[str] = []
        open_text: list[str] = []
        runs = _SPACES.split(text)
        for index, run in enumerate(runs):
            plain = _ENTITY.sub(self._character, run)
            at_edge = index in {0, len(runs) - 1}
            if not (_RISKY if at_edge else _BRACKETS).search(plain) and "\0" not in plain:
                open_text.append(plain)
                continue
            parts += self._without_terms("".join(open_text)), self._hide(Piece(Kind.WORD, run))
            open_text.clear()
        return "".join([*parts, self._without_terms("".join(open_text))])

    def _character(self, entity: re.Match[str]) -> str:
        """Return what an entity stands for, NUL for one that is not known."""
        known = self._form is Format.HTML or entity[0] in _XML_ENTITIES or entity[0][1] == "#"
        character = html.unescape(entity[0]) if known else entity[0]
        return "\0" if character == entity[0] else character

    def _without_terms(self, text: str, write: Write | None = None) -> str:
        if self._term is None:
            return text
        # Not by IGNORECASE, for which letters of two words are one, as both Turkish i are.
        parts: list[str] = []
        position = 0
        for found in self._term.finditer(_lower(text)):
            start, end = found.span()
            before = text[max(0, start - STRAY) : start]
            if _RISKY.search(_RUN.search(before)[0]):  # type: ignore[index]  # it always matches
                continue
            term = self._hide(Piece(Kind.WORD, (write or self._written)(self._terms[found[0]])))
            parts += text[position:start], term
            position = end
        return "".join([*parts, text[position:]])

    def _written(self, text: str) -> str:
        return text if self._form is Format.TEXT else html.escape(text, quote=False)


class VeiledDocument(DocumentPlan):
    """A document of a format, with a glossary; see ``DocumentPlan``."""

    def __init__(
        self,
        text: str,
        language: str | None,
        form: Format,
        terms: Sequence[tuple[str, str]],
        *,
        target: str | None = None,
        knows: Knows = knows_all,
    ) -> None:
        self._veil = Veil(text, form, terms)
        super().__init__(self._veil.text, language, target, knows=knows)

    def take(self) -> str:
        """Return the finished text that follows what was taken before; "" if there is none."""
        return self._veil.lift(super().take())


def _lower(text: str) -> str:
    """Return a text in lower case, character by character, so that each stays at its place."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := one.lower()) == 1 else one for one in text)


def _pattern(terms: Iterable[str]) -> re.Pattern[str]:
    """Return what finds whole terms, of two that begin alike the longer one."""
    return re.compile(rf"(?<!\w){_any_of(sorted(terms))}(?!\w)")


def _any_of(terms: Sequence[str]) -> str:
    """Return a pattern of sorted terms in which what several begin with stands once.

    So the time at each place of a text is that of the longest term, however many there are.
    """
    begin = commonprefix(terms)  # noqa: RUF071 - of characters, indeed
    rest = [term[len(begin) :] for term in terms if len(term) > len(begin)]
    if not rest:
        return re.escape(begin)
    ends = [_any_of(list(alike)) for _, alike in groupby(rest, key=itemgetter(0))]
    may_end = "?" if len(rest) < len(terms) else ""
    return f"{re.escape(begin)}(?:{'|'.join(ends)}){may_end}"


def _one_line(text: str, at_start: bool, at_end: bool) -> str:  # noqa: FBT001 - two edges
    """Return HTML text with its line breaks as the spaces they are, but for layout at an edge."""
    bare = text.strip()
    if not bare:
        return text if at_start or at_end else _LINE_BREAK.sub(" ", text)
    start = text.index(bare[0])
    end = start + len(bare)
    head = text[:start] if at_start else _LINE_BREAK.sub(" ", text[:start])
    tail = text[end:] if at_end else _LINE_BREAK.sub(" ", text[end:])
    return head + _LINE_BREAK.sub(" ", bare) + tail
