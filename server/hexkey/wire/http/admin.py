"""Administration: load and unload models, take in a changed configuration. For admin keys only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hexkey.administration import Reloaded
from hexkey.wire.http import codec
from hexkey.wire.http.access import Access
from hexkey.wire.http.errors import HttpError
from hexkey.wire.http.operation import Operation

if TYPE_CHECKING:
    from hexkey.administration import Administration
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange

_NOT_ADMINISTERED = 404


class ModelBody(msgspec.Struct):
    """Names a configured model."""

    model: str


class ModelAnswer(msgspec.Struct):
    """A model and the state it is in now."""

    model: str
    state: str


class ReloadBody(msgspec.Struct):
    """Holds nothing: the file is the one that the server was started with."""


ReloadAnswer = Reloaded
_MODEL = msgspec.json.Decoder(ModelBody)


async def load_model(exchange: Exchange, service: Service) -> None:
    """Load a model; the answer comes once it serves."""
    model = codec.decode(_MODEL, exchange.body).model
    await _administration(service).load(model)
    await exchange.json(ModelAnswer(model, service.pool.states()[model]))


async def unload_model(exchange: Exchange, service: Service) -> None:
    """Take a model out of memory once it has finished what it has; a request loads it again."""
    model = codec.decode(_MODEL, exchange.body).model
    await _administration(service).unload(model)
    await exchange.json(ModelAnswer(model, service.pool.states()[model]))


async def reload_configuration(exchange: Exchange, service: Service) -> None:
    """Take in the changed configuration; a bad one changes nothing, and the answer says why."""
    await exchange.json(await _administration(service).reload())


def _administration(service: Service) -> Administration:
    if service.administration is None:
        raise HttpError(
            _NOT_ADMINISTERED, "this server is not administered", reason="NOT_ADMINISTERED"
        )
    return service.administration


OPERATIONS = (
    Operation(
        "POST", "/v1/admin/load", load_model, ModelAnswer, ModelBody,
        timed=False, access=Access.ADMIN,
    ),
    Operation(
        "POST", "/v1/admin/unload", unload_model, ModelAnswer, ModelBody,
        timed=False, access=Access.ADMIN,
    ),
    Operation(
        "POST", "/v1/admin/reload", reload_configuration, ReloadAnswer, ReloadBody,
        timed=False, access=Access.ADMIN,
    ),
)  # fmt: skip
