"""Which JSON Schemas are taken from callers: bounded in size, depth and everything that counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hexkey import jsonschema
from hexkey.errors import Code, ServeError

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 40},
        # Names of a caller's own, which only look like keywords.
        "pattern": {"type": "string"},
        "$ref": {"type": "integer"},
        "kind": {"enum": [{"pattern": "x", "$ref": "http://x"}, "b"]},
        "children": {"type": "array", "items": {"$ref": "#"}, "maxItems": 3},
    },
    "required": ["name", "pattern"],
}


def nested(depth: int) -> dict[str, Any]:
    return {"not": nested(depth - 1)} if depth > 1 else {}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        PERSON,
        {"$defs": {"a": {"type": "null"}}, "$ref": "#/$defs/a"},
        nested(jsonschema.MAX_DEPTH),
        {"type": "string", "maxLength": jsonschema.MAX_COUNT},
    ],
)
def test_what_is_bounded_is_taken(schema: dict[str, Any]) -> None:
    jsonschema.check(json.dumps(schema))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no JSON"),
        ("[" * 5000, "no JSON"),
        ("[]", "is an object"),
        ("true", "is an object"),
        (json.dumps(nested(jsonschema.MAX_DEPTH + 1)), "16 deep"),
        (json.dumps({"enum": ["x" * jsonschema.MAX_BYTES]}), "at most 16384 bytes"),
        ('{"pattern": "(.{0,64}x){0,64}"}', "'pattern' is not taken"),
        ('{"properties": {"a": {"patternProperties": {}}}}', "'patternProperties' is not taken"),
        ('{"$ref": "http://example.org/schema"}', "into the schema itself"),
        ('{"$ref": {"a": 1}}', "into the schema itself"),
        ('{"items": [{"maxLength": 100000}]}', "maxLength must be between 0 and 512"),
        ('{"anyOf": [{"minItems": -1}]}', "minItems must be between 0 and 512"),
    ],
)
def test_what_is_not_bounded_is_refused(text: str, says: str) -> None:
    with pytest.raises(ServeError, match=says) as caught:
        jsonschema.check(text)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.param == "json_schema"
