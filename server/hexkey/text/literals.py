"""JSON: its form and its keys stay, and each string that is a value is a text of its own."""

import json
import re
from collections.abc import Callable, Iterator

from hexkey.text.placeholders import has_words

Write = Callable[[str], str]
"""Writes a text as it is written where it stands."""

_STRING = re.compile(r'"((?:[^"\\]++|\\.)*+)"(\s*+:)?')
_HALF = re.compile("[\ud800-\udfff]")


def texts(source: str) -> Iterator[tuple[str, Write | None]]:
    """Yield the stretches of `source`, and how to write them; those with None stay.

    They are the values of a JSON object or array, read, and what is between them; of anything
    else, the whole. Written again, each is as it was but for escapes that nobody needs.
    """
    if not _is_json(source):
        yield source, str
        return
    write = _ascii if source.isascii() and "\\u" in source else _wide
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


def _is_json(source: str) -> bool:
    if (source.lstrip()[:1] + source.rstrip()[-1:]) not in {"{}", "[]"}:
        return False
    try:
        json.loads(source)
    except (ValueError, RecursionError):
        return False
    return True


def _wide(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _ascii(text: str) -> str:
    return json.dumps(text)[1:-1]
