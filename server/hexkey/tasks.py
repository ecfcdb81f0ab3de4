"""The table of tasks: all that core knows of each, in one place.

A task is a struct in ``hexkey.payloads`` and an entry here; a wire adds a message and a codec for
it, an engine says in ``engines.factory`` that it does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from hexkey import validation
from hexkey.errors import invalid
from hexkey.text import summary
from hexkey.types import (
    Autocomplete,
    Chat,
    Classify,
    Embed,
    Payload,
    Rerank,
    Summarize,
    Task,
    Transcribe,
    Translate,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hexkey.types import ModelInfo, Request, Scores
    from hexkey.validation import Limits

NO_FIM = "the model has no fill-in-the-middle: the suffix only ends the completion, it is not read"


class Unit(StrEnum):
    """What the amount of a task is counted in."""

    TOKENS = "tokens"
    CHARACTERS = "characters"
    AUDIO_SECONDS = "audio_seconds"


def _no_ids(_payload: Any) -> int:
    return 0


def _as_it_is(payload: Any) -> Payload:
    return payload  # type: ignore[no-any-return]  # the entry's own payload


def _anything(payload: Any, model: str, info: ModelInfo) -> None:
    """Any model of the task can do it."""


def _nothing(payload: Any, info: ModelInfo) -> tuple[str, ...]:  # noqa: ARG001 - an entry's signature
    return ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One task. The functions take its ``payload``.

    ``check`` raises ``ServeError`` for a value out of bounds; ``outputs`` is the number of outputs
    that events tell of; ``ids`` how many token ids it lists; ``work`` is what an engine is given;
    ``able`` raises ``ServeError`` for what a model cannot do beside the task; ``notes`` is what a
    caller should know of how it does.
    """

    payload: type[Payload]
    unit: Unit
    check: Callable[[Any, Limits], None]
    outputs: Callable[[Any], int]
    ids: Callable[[Any], int] = _no_ids
    work: Callable[[Any], Payload] = _as_it_is
    able: Callable[[Any, str, ModelInfo], None] = _anything
    notes: Callable[[Any, ModelInfo], tuple[str, ...]] = _nothing


def _sampled(payload: Autocomplete | Chat, model: str, info: ModelInfo) -> None:
    if payload.sampling.logprobs and not info.logprobs:
        raise invalid(f"model {model!r} does not tell log probabilities", "logprobs")
    if payload.sampling.json_schema and not info.schemas:
        raise invalid(f"model {model!r} cannot be held to a JSON Schema", "json_schema")


def _dimensions(payload: Embed, model: str, info: ModelInfo) -> None:
    if payload.dimensions > info.dimensions:
        have = f"the vectors of model {model!r} have {info.dimensions} dimensions"
        raise invalid(f"{have}; ask for at most so many", "dimensions")


def _labels(payload: Classify, model: str, info: ModelInfo) -> None:
    if not payload.labels and not info.labels:
        raise invalid(f"model {model!r} has no labels of its own; send some", "labels")


def _suffix(payload: Autocomplete, info: ModelInfo) -> tuple[str, ...]:
    return (NO_FIM,) if payload.suffix and not info.fim else ()


def _models_own(_payload: Any, info: ModelInfo) -> tuple[str, ...]:
    return info.notes


def _choices(payload: Autocomplete | Chat | Summarize) -> int:
    return payload.sampling.n


def _texts(payload: Translate | Classify) -> int:
    return len(payload.texts)


TASKS: dict[Task, Entry] = {
    Task.AUTOCOMPLETE: Entry(
        Autocomplete,
        Unit.TOKENS,
        validation.autocomplete,
        _choices,
        ids=lambda payload: len(payload.tokens),
        able=_sampled,
        notes=_suffix,
    ),
    Task.CHAT: Entry(Chat, Unit.TOKENS, validation.chat, _choices, able=_sampled),
    Task.TRANSLATE: Entry(Translate, Unit.CHARACTERS, validation.translate, _texts),
    Task.EMBED: Entry(
        Embed,
        Unit.TOKENS,
        validation.embed,
        lambda payload: len(payload.tokens or payload.texts),
        ids=lambda payload: sum(map(len, payload.tokens)),
        able=_dimensions,
    ),
    Task.RERANK: Entry(
        Rerank,
        Unit.TOKENS,
        validation.rerank,
        lambda payload: len(payload.documents),
        notes=_models_own,
    ),
    Task.CLASSIFY: Entry(
        Classify, Unit.TOKENS, validation.classify, _texts, able=_labels, notes=_models_own
    ),
    Task.TRANSCRIBE: Entry(
        Transcribe, Unit.AUDIO_SECONDS, validation.transcribe, lambda _payload: 1
    ),
    Task.SUMMARIZE: Entry(
        Summarize,
        Unit.TOKENS,
        validation.summarize,
        _choices,
        work=summary.as_chat,
    ),
}


_BY_PAYLOAD = {entry.payload: entry for entry in TASKS.values()}


def entry_of(payload: Payload) -> Entry:
    """Return the entry of what is asked."""
    return _BY_PAYLOAD[type(payload)]


def validate(request: Request, limits: Limits) -> None:
    """Return if a request is within bounds; raises ``ServeError`` naming the field if not."""
    validation.constraints(request.constraints)
    entry_of(request.payload).check(request.payload, limits)


def ranking(payload: Rerank, found: Iterable[Scores]) -> list[tuple[int, float]]:
    """Return documents and their scores, best first, as many as were asked for."""
    scored = [(one.index, one.values[0]) for one in found]
    scored.sort(key=lambda pair: (-pair[1], pair[0]))
    return scored[: payload.top_n or None]


def verdict(payload: Classify, found: Scores) -> list[tuple[str, float]]:
    """Return a text's labels and their scores, best first."""
    scored = zip(payload.labels or found.labels, found.values, strict=True)
    return sorted(scored, key=lambda pair: -pair[1])
