"""What Ollama's clients ask before they generate: which models there are, and which version."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from hexkey.engines.supervisor import State
from hexkey.types import Task
from hexkey.wire.http import codec, models
from hexkey.wire.http.families.ollama import DIALECT, plain_name
from hexkey.wire.http.families.ollama_schemas import (
    OllamaDetails,
    OllamaModel,
    OllamaProcesses,
    OllamaRunning,
    OllamaShow,
    OllamaShowBody,
    OllamaTags,
    OllamaVersion,
)
from hexkey.wire.http.operation import Operation

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange

API_VERSION = "0.6.4"
"""Version of Ollama whose API this follows; clients refuse to work with one that is older."""

FOREVER = "9999-12-31T23:59:59Z"
_SERVED = frozenset({Task.AUTOCOMPLETE, Task.CHAT})
_SHOW = msgspec.json.Decoder(OllamaShowBody)


async def ollama_tags(exchange: Exchange, service: Service) -> None:
    """List the models that generate text."""
    since = _since()
    await exchange.json(
        OllamaTags(
            [
                OllamaModel(one.name, one.name, since, 0, "", OllamaDetails())
                for one in service.catalog(exchange.caller)
                if one.tasks & _SERVED
            ]
        )
    )


async def ollama_ps(exchange: Exchange, service: Service) -> None:
    """List the models that generate text and are ready to."""
    states = service.pool.states()
    running = []
    for one in service.catalog(exchange.caller):
        info = service.pool.info(one.name)
        if one.tasks & _SERVED and states[one.name] == State.READY and info:
            running.append(
                OllamaRunning(
                    one.name, one.name, 0, "", OllamaDetails(), FOREVER, 0, info.context_tokens
                )
            )
    await exchange.json(OllamaProcesses(running))


async def ollama_show(exchange: Exchange, service: Service) -> None:
    """Tell what one model can do."""
    body = codec.decode(_SHOW, exchange.body)
    candidate = models.find(service, exchange.caller, plain_name(body.model))
    info = service.pool.info(candidate.name)
    able = {
        "completion": bool(candidate.tasks & _SERVED),
        "insert": Task.AUTOCOMPLETE in candidate.tasks and bool(info and info.fim),
    }
    await exchange.json(
        OllamaShow(
            modelfile="",
            parameters="",
            template="",
            modified_at=_since(),
            details=OllamaDetails(),
            model_info={
                "general.architecture": "hexkey",
                "hexkey.context_length": info.context_tokens if info else 0,
            },
            capabilities=[name for name, can in able.items() if can],
        )
    )


async def ollama_version(exchange: Exchange, service: Service) -> None:  # noqa: ARG001 - a handler's signature
    """Say which version of Ollama's API is spoken."""
    await exchange.json(OllamaVersion(API_VERSION))


def _since() -> str:
    return datetime.fromtimestamp(models.STARTED, UTC).isoformat().replace("+00:00", "Z")


OPERATIONS = (
    Operation("GET", "/api/tags", ollama_tags, OllamaTags, dialect=DIALECT),
    Operation("GET", "/api/ps", ollama_ps, OllamaProcesses, dialect=DIALECT),
    Operation(
        "POST", "/api/show", ollama_show, OllamaShow, OllamaShowBody, dialect=DIALECT, timed=False
    ),
    Operation("GET", "/api/version", ollama_version, OllamaVersion, dialect=DIALECT),
)
