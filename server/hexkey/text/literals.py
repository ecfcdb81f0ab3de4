"""JSON: its form and its keys stay, and each string that is a value is a text of its own."""

import json
import re
from collections.abc import Callable, Iterator

from hexkey.text.placeholders import has_words

Write = Callable[[str], str]
"""Writes a text as it is written where it stands."""

_STRING = re.compile(r'"((?:[^"\\]++|\\.)*+)"(\s*+:)?')
_ESCAPE = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|.)")
_APART = re.compile(r"\\/|\\u00(?:2[67]|3[CcEe])")
_HALF = re.compile("[\ud800-\udfff]")


def texts(source: str) -> Iterator[tuple[str, Write | None]]:
    """Yield the stretches of `source`, and how to write them; those with None stay.

    They are the values of a JSON object or array, read, and what is between them; of anything
    else, the whole. Written again, each is as it was but for escapes that nobody needs.
    """
    write = writer(source)
    if write is None:
        yield source, str
        return
    position = 0
    for string in _STRING.finditer(source):
        start, end = string.span(1)
        said = json.loads(source[start - 1 : end + 1])
        if string[2] or not has_words(said) or _HALF.search(said):
            continue
        yield source[position:start], None
        yield said, write
        position = end
    yield source[position:], None


def writer(source: str) -> Write | None:
    """Return how a text is written in the strings of `source`; None where that is no JSON.

    The slash and the brackets of a page around it are escaped where they are so in the source.
    """
    if not _is_json(source):
        return None
    ascii_only = source.isascii() and "\\u" in source
    apart = str.maketrans(
        {json.loads(f'"{one}"'): one for one in _ESCAPE.findall(source) if _APART.fullmatch(one)}
    )
    return lambda text: json.dumps(text, ensure_ascii=ascii_only)[1:-1].translate(apart)


def _is_json(source: str) -> bool:
    if (source.lstrip()[:1] + source.rstrip()[-1:]) not in {"{}", "[]"}:
        return False
    try:
        json.loads(source)
    except (ValueError, RecursionError):
        return False
    return True
