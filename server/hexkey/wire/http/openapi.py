"""The OpenAPI 3.1 document, made of the operations and of the structs they really use."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from hexkey import __version__
from hexkey.errors import Code
from hexkey.types import Priority
from hexkey.wire.http import codec
from hexkey.wire.http.access import Access
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.stream import NDJSON
from hexkey.wire.http.table import DIALECTS, OPERATIONS

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange
    from hexkey.wire.http.operation import Schema

PATH = "/openapi.json"
_JSON = "application/json"
_EVENTS = "text/event-stream"
_PLAIN = "text/plain"
_OF_BODIES = (408, 415)
_OF_ALL = (405, 431, 500)
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "header": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same."},
}
# Scopes beside that of a task or model; an empty way in is for servers that ask for no keys.
_SCOPES = {Access.CALLER: (), Access.METRICS: ("metrics",), Access.ADMIN: ("admin",)}
_HEADERS = {
    "x-request-id": ("The request's id, for the log and the answer.", {"type": "string"}),
    "x-request-timeout-ms": ("Deadline.", {"type": "integer", "minimum": 1, "maximum": 86_400_000}),
    "x-hexkey-priority": ("As priority.", {"type": "string", "enum": [*Priority]}),
    "x-hexkey-session": (
        "As session, for completions of every API.",
        {"type": "string"},
    ),
    "x-hexkey-max-cost": (
        "As constraints.max_cost.",
        {"type": "string", "pattern": "^[0-9]{1,9}$"},
    ),
    "x-hexkey-max-latency-ms": (
        "As constraints.max_latency_ms.",
        {"type": "integer", "minimum": 1, "maximum": 86_400_000},
    ),
    "x-hexkey-labels": (
        "As constraints.labels.",
        {"type": "string", "pattern": "^[a-z]{1,8}=[a-z]{1,8}$"},
    ),
}


async def openapi(exchange: Exchange, service: Service) -> None:  # noqa: ARG001 - a handler's signature
    """Return this document."""
    await exchange.answer(200, document(), ((b"content-type", _JSON.encode()),))


@cache
def document() -> bytes:
    """Return the document as JSON."""
    kinds = {
        kind
        for operation in OPERATIONS
        for schema in (operation.body, operation.answer, operation.event)
        for kind in _types(schema)
    }
    ordered = [dialect.body for dialect in DIALECTS]
    ordered += sorted(kinds - set(ordered), key=str)
    references, components = msgspec.json.schema_components(
        ordered, ref_template="#/components/schemas/{name}"
    )
    schemas = dict(zip(ordered, references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        entry = paths.setdefault(operation.path, {})
        entry[operation.method.lower()] = _operation(operation, schemas)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "hexkey",
                "version": __version__,
                "description": "Say the task, not the model.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": _KEYS,
                "responses": {
                    dialect.name: {
                        "description": "An error, told as this family of APIs does.",
                        "content": {_JSON: {"schema": schemas[dialect.body]}},
                    }
                    for dialect in DIALECTS
                },
            },
        }
    )


def _operation(operation: Operation, schemas: dict[type, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "The answer.", "content": _content(operation, schemas)}
    responses: dict[str, Any] = {"200": answer}
    error = {"$ref": f"#/components/responses/{operation.dialect.name}"}
    responses |= {str(status): error for status in _statuses(operation)}
    responses |= {str(status): answer for status in operation.also}
    described: dict[str, Any] = {
        "operationId": operation.handler.__name__,
        "summary": (operation.handler.__doc__ or "").strip(),
        "parameters": _parameters(operation),
        "security": _security(operation.access),
        "responses": responses,
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {operation.media: {"schema": schemas[operation.body]}},
        }
        if operation.form:
            described["requestBody"]["content"][codec.FORM.decode()] = {
                "schema": schemas[operation.body]
            }
    return described


def _content(operation: Operation, schemas: dict[type, Any]) -> dict[str, Any]:
    if operation.answer is None:
        return {_PLAIN: {"schema": {"type": "string"}}}
    content: dict[str, Any] = {_JSON: {"schema": _any(operation.answer, schemas)}}
    if operation.plain:
        content[_PLAIN] = {"schema": {"type": "string"}}
    if operation.event is None:
        return content
    told = _any((*_types(operation.event), operation.dialect.body), schemas)
    if operation.framing is NDJSON:
        # Of one line: OpenAPI 3.1 has no word for a sequence, and tools read it this way.
        content[NDJSON.content_type.decode()] = {"schema": told}
    else:
        # Of one event, for the same reason.
        data = {
            "type": "string",
            "description": "JSON; that of a failed stream's last event is an error.",
            "anyOf": [
                {"const": "[DONE]"},
                {"contentMediaType": _JSON, "contentSchema": told},
            ],
        }
        event = {"type": "object", "properties": {"data": data}, "required": ["data"]}
        content[_EVENTS] = {"schema": event}
    return content


def _types(schema: Schema | None) -> tuple[type, ...]:
    return () if schema is None else schema if isinstance(schema, tuple) else (schema,)


def _any(schema: Schema, schemas: dict[type, Any]) -> dict[str, Any]:
    each = [schemas[one] for one in _types(schema)]
    return each[0] if len(each) == 1 else {"anyOf": each}


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    for name in re.findall(r"{(\w+)}", operation.path):
        schema = {"type": "string", "minLength": 1}
        parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
    if operation.body is not None and operation.timed:
        parameters += [
            {"name": name, "in": "header", "description": text, "schema": schema}
            for name, (text, schema) in _HEADERS.items()
        ]
    return parameters


def _security(access: Access) -> list[dict[str, tuple[str, ...]]]:
    """Return the ways in; none says that it is for everybody."""
    if access is Access.OPEN:
        return []
    ways = [{name: _SCOPES[access]} for name in _KEYS]
    return ways if access is Access.ADMIN else [*ways, {}]


def _statuses(operation: Operation) -> list[int]:
    """Return the error statuses an operation can answer with."""
    if operation.body is not None:
        table = operation.dialect.statuses
        own = {status for code, status in table.items() if code is not Code.CANCELLED}
        return sorted({*own, *operation.dialect.reasons.values(), *_OF_BODIES, *_OF_ALL})
    of_keys = () if operation.access is Access.OPEN else (401, 403)
    return sorted({400, 404, *of_keys, *_OF_ALL})


OPERATION = Operation("GET", PATH, openapi, None, access=Access.OPEN)
