"""Tabby's completions, and the two questions its agent asks before it sends any.

A completion comes by OpenAI's path and is told apart by its ``segments``; the answer has the fields
of both. Source: Tabby's own OpenAPI document and ``tabby-agent``.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from hexkey import __version__
from hexkey.types import Autocomplete, ContextFile, Sampling, StopRule, Task
from hexkey.wire.http import codec
from hexkey.wire.http.operation import Operation

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange
    from hexkey.wire.http.openai_schemas import CompletionBody

MAX_TOKENS = 64
API_VERSION = "0.30.0"
"""Version of Tabby whose API this follows; its agent asks older ones for less."""


class TabbySnippet(Struct):
    """A piece of another file."""

    body: str
    filepath: str = ""


class TabbySegments(Struct):
    """What is around the cursor."""

    prefix: str
    suffix: str | None = None
    filepath: str | None = None
    declarations: list[TabbySnippet] | None = None
    relevant_snippets_from_changed_files: list[TabbySnippet] | None = None
    relevant_snippets_from_recently_opened_files: list[TabbySnippet] | None = None


class TabbyVersion(Struct):
    """Which build answers."""

    git_describe: str
    git_sha: str = ""
    build_date: str = ""
    build_timestamp: str = ""


class TabbyHealth(Struct):
    """What serves, and on what; hardware is not told."""

    model: str | None
    chat_model: str | None
    device: str
    arch: str
    cpu_info: str
    cpu_count: int
    cuda_devices: list[str]
    version: TabbyVersion


class TabbySetting(Struct):
    """What the agent should do by itself."""

    disable_client_side_telemetry: bool


class TabbyEvent(Struct):
    """What became of a completion."""

    type: str


_EVENT = msgspec.json.Decoder(TabbyEvent)


async def tabby_health(exchange: Exchange, service: Service) -> None:
    """Say that the server runs, as Tabby does."""
    catalog = service.catalog(exchange.caller)
    models = {
        task: next((one.name for one in catalog if task in one.tasks), None)
        for task in (Task.AUTOCOMPLETE, Task.CHAT)
    }
    await exchange.json(
        TabbyHealth(
            model=models[Task.AUTOCOMPLETE],
            chat_model=models[Task.CHAT],
            device="cpu",
            arch=platform.machine(),
            cpu_info="",
            cpu_count=0,
            cuda_devices=[],
            version=TabbyVersion(f"{API_VERSION} (hexkey {__version__})"),
        )
    )


async def tabby_setting(exchange: Exchange, service: Service) -> None:  # noqa: ARG001 - a handler's signature
    """Tell Tabby's agent to send no telemetry: nothing here takes it."""
    await exchange.json(TabbySetting(disable_client_side_telemetry=True))


async def tabby_events(exchange: Exchange, service: Service) -> None:  # noqa: ARG001 - a handler's signature
    """Take what Tabby's agent tells of completions seen and chosen, and keep nothing of it."""
    codec.decode(_EVENT, exchange.body)
    await exchange.answer(200, b"", ((b"content-type", b"text/plain"),))


def payload(body: CompletionBody, segments: TabbySegments) -> Autocomplete:
    """Return what core is asked for; what other files declare goes with it."""
    snippets = (
        *(segments.declarations or ()),
        *(segments.relevant_snippets_from_changed_files or ()),
        *(segments.relevant_snippets_from_recently_opened_files or ()),
    )
    return Autocomplete(
        prefix=segments.prefix,
        suffix=segments.suffix or "",
        language=body.language or "",
        path=segments.filepath or "",
        context=tuple(ContextFile(one.filepath, one.body) for one in snippets),
        stop_rule=StopRule.BLOCK,
        sampling=Sampling(
            max_tokens=MAX_TOKENS if body.max_tokens is None else body.max_tokens,
            temperature=body.temperature or 0.0,
            seed=body.seed,
        ),
    )


OPERATIONS = (
    Operation("GET", "/v1/health", tabby_health, TabbyHealth),
    Operation("POST", "/v1/events", tabby_events, None, TabbyEvent, timed=False),
    Operation("GET", "/v1beta/server_setting", tabby_setting, TabbySetting),
)
