"""The OpenAPI 3.1 document, made of the operations and of the structs they really use."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from hexkey import __version__
from hexkey.errors import Code
from hexkey.wire.http.errors import TABLE, ErrorBody
from hexkey.wire.http.operation import OPERATIONS, Operation

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange

PATH = "/openapi.json"
_JSON = "application/json"
_ERROR = "#/components/responses/Error"
_OF_BODIES = (408, 415)
_OF_ALL = (405, 431, 500)
_HEADERS = {
    "x-request-id": ("The request's id, for the log and the answer.", {"type": "string"}),
    "x-request-timeout-ms": ("Deadline.", {"type": "integer", "minimum": 1, "maximum": 86_400_000}),
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
        for kind in (operation.body, operation.answer, operation.event)
        if kind is not None
    }
    ordered = [ErrorBody, *sorted(kinds, key=lambda kind: kind.__name__)]
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
                "responses": {
                    "Error": {
                        "description": "An error; its code is a stable word for programs.",
                        "content": {_JSON: {"schema": schemas[ErrorBody]}},
                    }
                },
            },
        }
    )


def _operation(operation: Operation, schemas: dict[type, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "The answer.", "content": _content(operation, schemas)}
    responses: dict[str, Any] = {"200": answer}
    responses |= {str(status): {"$ref": _ERROR} for status in _statuses(operation)}
    responses |= {str(status): answer for status in operation.also}
    described: dict[str, Any] = {
        "operationId": operation.handler.__name__,
        "summary": (operation.handler.__doc__ or "").strip(),
        "parameters": _parameters(operation),
        "responses": responses,
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {_JSON: {"schema": schemas[operation.body]}},
        }
    return described


def _content(operation: Operation, schemas: dict[type, Any]) -> dict[str, Any]:
    if operation.answer is None:
        return {"text/plain": {"schema": {"type": "string"}}}
    content: dict[str, Any] = {_JSON: {"schema": schemas[operation.answer]}}
    if operation.event is not None:
        # Of one event: OpenAPI 3.1 has no word for a sequence, and tools read it this way.
        data = {
            "type": "string",
            "description": "JSON; that of the last event is [DONE], of a failed stream an error.",
            "contentMediaType": _JSON,
            "contentSchema": schemas[operation.event],
        }
        event = {"type": "object", "properties": {"data": data}, "required": ["data"]}
        content["text/event-stream"] = {"schema": event}
    return content


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    if "{id}" in operation.path:
        schema = {"type": "string", "minLength": 1}
        parameters.append({"name": "id", "in": "path", "required": True, "schema": schema})
    if operation.body is not None:
        parameters += [
            {"name": name, "in": "header", "description": text, "schema": schema}
            for name, (text, schema) in _HEADERS.items()
        ]
    return parameters


def _statuses(operation: Operation) -> list[int]:
    """Return the error statuses an operation can answer with."""
    if operation.body is not None:
        own = {row.status for code, row in TABLE.items() if code is not Code.CANCELLED}
        return sorted({*own, *_OF_BODIES, *_OF_ALL})
    return sorted({400, 404, *_OF_ALL})
