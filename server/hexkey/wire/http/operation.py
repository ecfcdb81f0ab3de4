"""The table of what this wire answers: the routes and the OpenAPI document are both made of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hexkey.wire.http import models, openai_chat, openai_completions, operations, tasks
from hexkey.wire.http import openai_schemas as openai
from hexkey.wire.http import schemas as own

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange

Handler = Callable[["Exchange", "Service"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. ``answer`` and ``event`` are structs; None means plain text.

    ``event`` is what a stream's ``data:`` lines hold, where there is a stream. ``also`` are the
    statuses, beside those any request can meet, at which it answers in its own shape.
    """

    method: str
    path: str
    handler: Handler
    answer: type | None
    body: type | None = None
    event: type | None = None
    also: tuple[int, ...] = ()


# The busiest come first, since routes are tried in order.
OPERATIONS = (
    Operation(
        "POST", "/v1/autocomplete", tasks.autocomplete,
        own.AutocompleteAnswer, own.AutocompleteBody, own.TaskEvent,
    ),
    Operation(
        "POST", "/v1/translate", tasks.translate,
        own.TranslateAnswer, own.TranslateBody, own.TaskEvent,
    ),
    Operation(
        "POST", "/v1/chat/completions", openai_chat.chat_completions,
        openai.ChatCompletion, openai.ChatBody, openai.ChatChunk,
    ),
    Operation(
        "POST", "/v1/completions", openai_completions.completions,
        openai.Completion, openai.CompletionBody, openai.Completion,
    ),
    Operation("POST", "/v1/route", tasks.route, own.RouteAnswer, own.RouteBody),
    Operation("GET", "/v1/models", models.list_models, openai.ModelList),
    Operation("GET", "/v1/models/{id}", models.get_model, openai.Model),
    Operation("GET", "/health", operations.health, own.HealthAnswer),
    Operation("GET", "/ready", operations.ready, own.ReadyAnswer, also=(503,)),
    Operation("GET", "/version", operations.version, own.VersionAnswer),
    Operation("GET", "/metrics", operations.exposition, None),
    Operation("GET", "/", operations.home, own.HomeAnswer),
)  # fmt: skip
