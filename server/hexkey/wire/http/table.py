"""The table of what this wire answers: the routes and the OpenAPI document are both made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexkey.wire.http import (
    admin,
    home,
    models,
    openai_audio,
    openai_chat,
    openai_completions,
    openai_embeddings,
    operations,
    retrieval,
    speech,
    summaries,
    tasks,
)
from hexkey.wire.http import openai_schemas as openai
from hexkey.wire.http import schemas as own
from hexkey.wire.http.access import Access
from hexkey.wire.http.errors import OPENAI
from hexkey.wire.http.families import (
    anthropic,
    cohere,
    deepl,
    deepl_glossaries,
    huggingface,
    libretranslate,
    llamacpp,
    llamacpp_tokens,
    mistral,
    ollama,
    ollama_embed,
    ollama_models,
    open_inference,
    responses,
    tabby,
    tei,
)
from hexkey.wire.http.operation import Operation

if TYPE_CHECKING:
    from hexkey.wire.http.errors import Dialect

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
    *responses.OPERATIONS,
    *anthropic.OPERATIONS,
    *openai_embeddings.OPERATIONS,
    *openai_audio.OPERATIONS,
    *retrieval.OPERATIONS,
    *speech.OPERATIONS,
    *summaries.OPERATIONS,
    *mistral.OPERATIONS,
    *llamacpp.OPERATIONS,
    *llamacpp_tokens.OPERATIONS,
    *deepl.OPERATIONS,
    *deepl_glossaries.OPERATIONS,
    *libretranslate.OPERATIONS,
    *ollama.OPERATIONS,
    *ollama_embed.OPERATIONS,
    *ollama_models.OPERATIONS,
    *huggingface.OPERATIONS,
    *tabby.OPERATIONS,
    *cohere.OPERATIONS,
    *open_inference.OPERATIONS,
    *tei.OPERATIONS,
    Operation("POST", "/v1/route", tasks.route, own.RouteAnswer, own.RouteBody),
    Operation("GET", "/v1/models", models.list_models, openai.ModelList),
    Operation("GET", "/v1/models/{id}", models.get_model, openai.Model),
    Operation("GET", "/health", operations.health, own.HealthAnswer, access=Access.OPEN),
    Operation("GET", "/ready", operations.ready, own.ReadyAnswer, also=(503,), access=Access.OPEN),
    Operation("GET", "/version", operations.version, own.VersionAnswer, access=Access.OPEN),
    Operation("GET", "/metrics", operations.exposition, None, access=Access.METRICS),
    Operation(
        "GET", "/metrics/engines/{id}", operations.engine_exposition, None, access=Access.METRICS
    ),
    *admin.OPERATIONS,
    Operation(
        "GET", "/", home.home, own.HomeAnswer, dialect=huggingface.DIALECT, access=Access.OPEN
    ),
)  # fmt: skip
DIALECTS = tuple({one.dialect.name: one.dialect for one in OPERATIONS}.values())
# By the path as far as it is the same for all: a model's name may stand behind it.
_BY_START = {
    operation.path.partition("{")[0]: operation.dialect
    for operation in OPERATIONS
    if operation.dialect is not OPENAI
}
_OPEN = tuple(start for start in _BY_START if start.endswith("/") and start != "/")


def dialect_of(path: str) -> Dialect:
    """Return how errors are told to whoever asks for ``path``: as OpenAI does by default."""
    if path.startswith(_OPEN):
        path = next(start for start in _OPEN if path.startswith(start))
    return _BY_START.get(path, OPENAI)
