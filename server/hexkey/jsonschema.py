"""JSON Schemas that callers send to have an answer fit them: what is taken of the language.

A grammar is made of each, in the engine. Measured on xgrammar 0.2: within these bounds that takes
under a second; a ``pattern`` of 15 characters took half a minute, and nesting costs its cube.
"""

from __future__ import annotations

import json
from typing import Any

from hexkey.errors import invalid

MAX_BYTES = 16 << 10
MAX_DEPTH = 16
MAX_COUNT = 512
"""Of characters, items or properties that a schema counts."""
PARAM = "json_schema"

_COUNTS = frozenset(
    {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}
)
_REFUSED = frozenset({"pattern", "patternProperties"})
_NAMES = frozenset({"properties", "$defs", "definitions"})
"""Keywords under which the keys are a caller's own names."""
_VALUES = frozenset({"enum", "const", "default", "examples"})
"""Keywords under which everything is a caller's own value."""


def check(text: str) -> None:
    """Return if a schema is taken; ``ServeError`` says what about it is not."""
    if len(text.encode()) > MAX_BYTES:
        raise invalid(f"a JSON Schema has at most {MAX_BYTES} bytes", PARAM)
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError):
        raise invalid("the JSON Schema is no JSON", PARAM) from None
    if not isinstance(schema, dict):
        raise invalid("a JSON Schema is an object", PARAM)
    _visit(schema, 1)


def _visit(value: Any, depth: int, *, keywords: bool = True) -> None:
    """Look at a part of a schema; without ``keywords`` its keys are a caller's own names."""
    if depth > MAX_DEPTH:
        raise invalid(f"a JSON Schema is nested {MAX_DEPTH} deep at most", PARAM)
    if isinstance(value, list):
        for one in value:
            _visit(one, depth + 1, keywords=keywords)
    elif isinstance(value, dict):
        for key, one in value.items():
            if keywords:
                _keyword(key, one)
            # Under a name stands a schema again; what a value holds is never looked at as one.
            if not (keywords and key in _VALUES):
                _visit(one, depth + 1, keywords=not (keywords and key in _NAMES))


def _keyword(key: str, value: Any) -> None:
    if key in _REFUSED:
        raise invalid(f"{key!r} is not taken: a regular expression may take minutes", PARAM)
    if key == "$ref" and not (isinstance(value, str) and value.startswith("#")):
        raise invalid("a $ref points into the schema itself, as in '#/$defs/name'", PARAM)
    counts = key in _COUNTS and isinstance(value, int | float)
    if counts and not 0 <= value <= MAX_COUNT:
        raise invalid(f"{key} must be between 0 and {MAX_COUNT}", PARAM)
