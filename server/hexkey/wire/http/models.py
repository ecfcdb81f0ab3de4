"""``GET /v1/models``: what there is, with OpenAI's fields and ours."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec import UNSET

from hexkey.errors import Code, ServeError
from hexkey.routing import shorten
from hexkey.types import Task
from hexkey.wire.http.openai_schemas import (
    Model,
    ModelCapabilities,
    ModelList,
    ModelMeta,
    ModelPair,
)

if TYPE_CHECKING:
    from hexkey.routing import Candidate
    from hexkey.service import Service
    from hexkey.types import Caller
    from hexkey.wire.http.exchange import Exchange

_WRITES = {Task.AUTOCOMPLETE, Task.CHAT}
STARTED = int(time.time())


async def list_models(exchange: Exchange, service: Service) -> None:
    """List the caller's models, in the order in which the router looks at them."""
    catalog = service.catalog(exchange.caller)
    await exchange.json(ModelList(data=[_model(service, candidate) for candidate in catalog]))


async def get_model(exchange: Exchange, service: Service) -> None:
    """Return one model; its name may hold slashes."""
    name = exchange.scope["path_params"]["id"]
    await exchange.json(_model(service, find(service, exchange.caller, name)))


def find(service: Service, caller: Caller, name: str) -> Candidate:
    """Return a model of the caller's; ``ServeError`` NOT_FOUND lists what there is instead."""
    catalog = service.catalog(caller)
    for candidate in catalog:
        if candidate.name == name:
            return candidate
    names = ", ".join(candidate.name for candidate in catalog) or "none"
    raise ServeError(
        Code.NOT_FOUND,
        f"there is no model {shorten(name)!r}; there is: {names}",
        param="model",
        reason="MODEL_NOT_FOUND",
    )


def _model(service: Service, candidate: Candidate) -> Model:
    info = service.pool.info(candidate.name)
    window = info.context_tokens if info else 0
    return Model(
        id=candidate.name,
        created=STARTED,
        tasks=sorted(candidate.tasks),
        pairs=[ModelPair(pair.source, pair.target) for pair in candidate.pairs],
        state=service.pool.states()[candidate.name],
        context_tokens=window,
        fim=bool(info and info.fim),
        capabilities=ModelCapabilities(
            completion_chat=Task.CHAT in candidate.tasks,
            completion_fim=Task.AUTOCOMPLETE in candidate.tasks and bool(info and info.fim),
        ),
        notes=info.notes if info else (),
        failing=service.board.failing(candidate.name),
        max_model_len=window,
        meta=ModelMeta(window) if _WRITES & candidate.tasks and window else UNSET,
    )
