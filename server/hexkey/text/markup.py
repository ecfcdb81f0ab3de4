"""Cut HTML and XML into what is markup and what is text, byte for byte and in one pass.

No tree is built and nothing is repaired: the pieces joined are the source. Each look for an end
(of a comment, a tag, an element) that finds none takes the rest of the text, as browsers do, so
time is linear in the text, whatever it is.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from hexkey.text.placeholders import is_block

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPENS = {True: re.compile(r"</?[A-Za-z]"), False: re.compile(r"</?(?:[^\W\d]|:)")}
"""What a tag begins with, in HTML and in XML; any other ``<`` is a character."""
_TAG = re.compile(r"""<(/?)([^\s/>]++)((?:[^>"']++|"[^"]*+"|'[^']*+')*+)>""")
_KEPT = re.compile(
    r"""\stranslate\s*+=\s*+["']?no\b"""
    r"""|\sclass\s*+=\s*+(?:"[^"]*?|'[^']*?|[^\s"'>]*?)\bnotranslate\b""",
    re.IGNORECASE,
)
"""Each look for a class goes to the end of its value and no further, so time is linear."""
_VERBATIM = {"code", "kbd", "samp", "var", "tt"}
_RAW = {"script", "style"}
_VOID = {
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
}  # fmt: skip
_SPECIAL = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<!", ">"), ("<?", ">"))


class Kind(Enum):
    """What a piece is to a sentence."""

    TEXT = auto()
    """Words, with entities as they are written."""
    INLINE = auto()
    """Markup within a sentence, which reads the same without it."""
    BLOCK = auto()
    """Markup that no sentence goes across."""
    WORD = auto()
    """What is kept as it is and stands for a word: an element marked so, or code."""


class Piece(NamedTuple):
    """A stretch of the source."""

    kind: Kind
    text: str


def cut(source: str, *, html: bool) -> Iterator[Piece]:
    """Yield the pieces of a text; ``html`` knows elements by their names, XML by nothing."""
    position = begun = 0
    while (position := source.find("<", position)) >= 0:
        found = _markup(source, position, html=html)
        if found is None:
            position += 1
            continue
        kind, end = found
        if begun < position:
            yield Piece(Kind.TEXT, source[begun:position])
        yield Piece(kind, source[position:end])
        position = begun = end
    if begun < len(source):
        yield Piece(Kind.TEXT, source[begun:])


def _markup(source: str, start: int, *, html: bool) -> tuple[Kind, int] | None:
    """Return what begins at a ``<`` and where it ends; None for a bracket that is a character."""
    for opening, closing in _SPECIAL:
        if source.startswith(opening, start):
            end = source.find(closing, start + len(opening))
            return Kind.INLINE, end + len(closing) if end >= 0 else len(source)
    if not _OPENS[html].match(source, start):
        return None
    tag = _TAG.match(source, start)
    if tag is None:
        return Kind.BLOCK, len(source)
    kind = Kind.BLOCK if html and is_block(tag[0]) else Kind.INLINE
    return _element(source, tag, kind, html=html)


def _element(source: str, tag: re.Match[str], kind: Kind, *, html: bool) -> tuple[Kind, int]:
    """Return a tag's kind and end, or those of its whole element where that is kept."""
    closing, name, rest = tag[1], tag[2].lower() if html else tag[2], tag[3]
    if closing or rest.endswith("/") or (html and name in _VOID):
        return kind, tag.end()
    if html and name in _RAW:
        return Kind.BLOCK, _element_end(source, tag.end(), name)
    if _KEPT.search(rest) or (html and name in _VERBATIM):
        inline = kind is Kind.INLINE
        return Kind.WORD if inline else kind, _element_end(source, tag.end(), name)
    return kind, tag.end()


def _element_end(source: str, position: int, name: str) -> int:
    """Return where the element ends whose start tag ended at ``position``."""
    depth = 1
    same = re.compile(rf"<(/?){re.escape(name)}(?=[\s/>])[^>]*+>", re.IGNORECASE)
    # Up to the last bracket: beyond it every look for one would go to the end in vain.
    for tag in same.finditer(source, position, source.rfind(">") + 1):
        depth += -1 if tag[1] else not tag[0].endswith("/>")
        if not depth:
            return tag.end()
    return len(source)
