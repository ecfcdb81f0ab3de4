"""The Open Inference Protocol over HTTP: ``/v2`` and what is below it.

Source: the protocol's own document and Triton's ``tritonclient``: JSON, with the elements of
tensors behind it as bytes where the client says so, and gzip both ways.
"""

from __future__ import annotations

import asyncio
import gzip
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from hexkey import __version__, polyglot
from hexkey.errors import Code, ServeError, invalid
from hexkey.wire.http import codec
from hexkey.wire.http.access import Access
from hexkey.wire.http.errors import STATUSES, Dialect
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.runs import served_by, whole
from hexkey.wire.oip import models
from hexkey.wire.oip.tensors import BYTES, MAX_ELEMENTS, Tensor, pack, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hexkey.service import Service
    from hexkey.wire.http.errors import Header
    from hexkey.wire.http.exchange import Exchange
    from hexkey.wire.oip.models import Spec

_HEADER = b"inference-header-content-length"
_SIZE = "binary_data_size"
MAX_AXES = 8


class OipInput(Struct):
    """One input; its elements, unless they stand behind the JSON."""

    name: str
    shape: list[int]
    datatype: Annotated[str, Meta(description="BYTES.")]
    data: Annotated[list[Any] | None, Meta(description="Texts, nested or flat.")] = None
    parameters: dict[str, Any] = {}


class OipRequested(Struct):
    """One output that is wanted; ``binary_data`` wants its elements behind the JSON."""

    name: str
    parameters: dict[str, Any] = {}


class OipInferBody(Struct):
    """Asks to run a model."""

    inputs: list[OipInput]
    id: str | None = None
    outputs: list[OipRequested] | None = None
    parameters: Annotated[
        dict[str, Any], Meta(description="The task's own fields, such as max_tokens or target.")
    ] = {}


class OipOutput(Struct, omit_defaults=True):
    """One output."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: list[str | float] | None = None
    parameters: dict[str, int] | None = None


class OipInferAnswer(Struct, omit_defaults=True):
    """What a model gave."""

    model_name: str
    model_version: str
    outputs: list[OipOutput]
    id: str | None = None


class OipTensor(Struct):
    """A tensor that a model takes or gives; -1 stands for any number."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class OipModel(Struct):
    """What a model takes and gives."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: list[OipTensor]
    outputs: list[OipTensor]


class OipServer(Struct):
    """What the server is."""

    name: str
    version: str
    extensions: tuple[str, ...]


class OipReady(Struct):
    """Whether it serves; the status says the same."""

    ready: bool


class OipError(Struct):
    """Body of every answer that is an error."""

    error: str


DIALECT = Dialect("OipError", STATUSES, OipError, lambda error, _status: OipError(error.message))
_BODY = msgspec.json.Decoder(OipInferBody)
_JSON: Header = (b"content-type", b"application/json")
_encode = msgspec.json.encode


async def oip_server(exchange: Exchange, service: Service) -> None:  # noqa: ARG001 - a handler's signature
    """Tell what the server is."""
    await exchange.json(OipServer("hexkey", __version__, models.EXTENSIONS))


async def oip_live(exchange: Exchange, service: Service) -> None:  # noqa: ARG001 - a handler's signature
    """Tell that the server runs."""
    await exchange.json(OipReady(ready=True))


async def oip_ready(exchange: Exchange, service: Service) -> None:
    """Tell whether every model serves."""
    await _tell_ready(exchange, ready=service.ready)


async def oip_model_ready(exchange: Exchange, service: Service) -> None:
    """Tell whether a model, or one of a task, serves."""
    name = exchange.scope["path_params"]["id"]
    await _tell_ready(exchange, ready=models.ready(name, exchange.caller, service))


async def oip_model(exchange: Exchange, service: Service) -> None:
    """Tell what a model, or a task, takes and gives."""
    name = exchange.scope["path_params"]["id"]
    inputs, outputs = models.SPECS[models.task_of(name, service.catalog(exchange.caller))]
    answer = OipModel(name, (models.VERSION,), models.PLATFORM, _specs(inputs), _specs(outputs))
    await exchange.json(answer)


async def oip_infer(exchange: Exchange, service: Service) -> None:
    """Run a model."""
    name = exchange.scope["path_params"]["id"]
    body, behind = _split(exchange)
    asked = models.parameters_of(body.parameters)
    task = models.task_of(name, service.catalog(exchange.caller), asked.task)
    payload = models.payload_of(task, _inputs(body, behind), asked)
    run = polyglot.run(service, exchange.request(payload, name))
    answer = await whole(exchange, run)
    head, tail = _written(body, run.model, models.tensors_of(task, answer))
    await _answer(exchange, head, tail, served_by(exchange, run.model, answer.usage.cost))


async def _tell_ready(exchange: Exchange, *, ready: bool) -> None:
    if not ready:
        raise ServeError(Code.UNAVAILABLE, "not every model asked for serves", reason="NOT_READY")
    await exchange.json(OipReady(ready=True))


def _specs(specs: Sequence[Spec]) -> list[OipTensor]:
    return [OipTensor(one.name, one.datatype, one.shape) for one in specs]


def _split(exchange: Exchange) -> tuple[OipInferBody, bytes]:
    """Return the JSON and the bytes behind it."""
    data, length = exchange.body, exchange.headers.get(_HEADER)
    if length is None:
        return codec.decode(_BODY, data), b""
    if not length.isdigit() or len(length) > len(str(len(data))) or int(length) > len(data):
        raise invalid("Inference-Header-Content-Length is no length within the body")
    at = int(length)
    return codec.decode(_BODY, data[:at]), data[at:]


def _inputs(body: OipInferBody, behind: bytes) -> dict[str, Tensor]:
    tensors, at = {}, 0
    for one in body.inputs:
        given: bytes | list[bytes]
        if (size := one.parameters.get(_SIZE)) is None:
            leaves = _leaves(one.data or [], min(len(one.shape), MAX_AXES))
            given = [_element(one.name, value) for value in islice(leaves, MAX_ELEMENTS + 1)]
        else:
            if not isinstance(size, int) or not 0 <= size <= len(behind) - at:
                raise invalid(f"{_SIZE} of input {one.name!r} is no size within the body", one.name)
            given = behind[at : at + size]
            at += size
        tensors[one.name] = read(one.name, one.datatype, one.shape, given)
    if at != len(behind):
        raise invalid("there are more bytes behind the JSON than its inputs tell of")
    return tensors


def _leaves(values: list[Any], axes: int) -> Iterator[Any]:
    """Yield the elements of lists that are nested no deeper than a tensor of so many axes."""
    for one in values:
        if axes > 1 and isinstance(one, list):
            yield from _leaves(one, axes - 1)
        else:
            yield one


def _element(name: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise invalid(f"input {name!r} holds what is no text", name)
    return value.encode()


def _written(
    body: OipInferBody, model: str, tensors: Sequence[Tensor]
) -> tuple[OipInferAnswer, bytes]:
    """Return the answer, and the elements that stand behind it."""
    by_default = bool(body.parameters.get("binary_data_output"))
    wanted = {one.name: one for one in body.outputs or ()}
    outputs, behind = [], []
    for one in tensors:
        if wanted and one.name not in wanted:
            continue
        output = OipOutput(one.name, one.datatype, one.shape)
        asked = wanted[one.name].parameters.get("binary_data") if wanted else by_default
        if asked:
            behind.append(pack(one))
            output.parameters = {_SIZE: len(behind[-1])}
        elif one.datatype == BYTES:
            output.data = [value.decode() for value in one.data]  # type: ignore[union-attr]
        else:
            output.data = [*one.data]
        outputs.append(output)
    return OipInferAnswer(model, models.VERSION, outputs, body.id), b"".join(behind)


async def _answer(
    exchange: Exchange, head: OipInferAnswer, tail: bytes, headers: list[Header]
) -> None:
    data = _encode(head)
    headers.append((b"content-type", b"application/octet-stream") if tail else _JSON)
    if tail:
        headers.append((_HEADER, b"%d" % len(data)))
    data += tail
    if b"gzip" in exchange.headers.get(b"accept-encoding", b""):
        data = await asyncio.to_thread(gzip.compress, data, 1)
        headers.append((b"content-encoding", b"gzip"))
    await exchange.answer(200, data, headers)


def _operations(path: str) -> tuple[Operation, ...]:
    ready = Operation("GET", f"{path}/ready", oip_model_ready, OipReady, dialect=DIALECT)
    infer = Operation(
        "POST", f"{path}/infer", oip_infer, OipInferAnswer, OipInferBody, dialect=DIALECT
    )
    return ready, infer, Operation("GET", path, oip_model, OipModel, dialect=DIALECT)


# A model's name may hold slashes, so what is told by its end comes before what is not.
OPERATIONS = (
    Operation("GET", "/v2", oip_server, OipServer, dialect=DIALECT, access=Access.OPEN),
    Operation("GET", "/v2/health/live", oip_live, OipReady, dialect=DIALECT, access=Access.OPEN),
    Operation("GET", "/v2/health/ready", oip_ready, OipReady, dialect=DIALECT, access=Access.OPEN),
    *_operations("/v2/models/{id}/versions/{version}"),
    *_operations("/v2/models/{id}"),
)
