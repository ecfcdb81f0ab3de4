"""What may come in: bounds on every field, checked before anything is routed or queued.

Pure: a payload passes as it is or is refused with the field's name and what would be taken. There
is a function for each task; ``hexkey.tasks`` says which.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hexkey import jsonschema
from hexkey.errors import Code, ServeError, invalid
from hexkey.glossaries import MAX_TERM
from hexkey.types import UNBOUNDED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hexkey.types import (
        Autocomplete,
        Chat,
        Classify,
        Constraints,
        Embed,
        Rerank,
        Sampling,
        Summarize,
        Transcribe,
        Translate,
    )

ROLES = ("system", "user", "assistant")
MAX_STOPS = 16
MAX_STOP_CHARACTERS = 200
MAX_N = 16
MAX_TOKENS = UNBOUNDED
MAX_TEMPERATURE = 2
MAX_PENALTY = 2
MAX_SEED = (1 << 63) - 1
MAX_TERMS = 1000
MAX_TEXTS = 1000
MAX_SESSION_CHARACTERS = 256
MAX_INPUTS = 2048
MAX_MESSAGES = 1000
MAX_CONTEXT_FILES = 100
MAX_CODE_CHARACTERS = 35
MAX_DIMENSIONS = 1 << 16
MAX_LABELS = 100
MAX_LABEL_CHARACTERS = 200
MAX_CONSTRAINTS = 16
MAX_CONSTRAINT_CHARACTERS = 63
MAX_LATENCY_S = 24 * 3600


_CODE = re.compile(rf"[A-Za-z0-9_-]{{0,{MAX_CODE_CHARACTERS}}}")


@dataclass(frozen=True, slots=True)
class Limits:
    """The operator's bounds."""

    max_characters: int = 400_000


def constraints(wanted: Constraints) -> None:
    """Bounds of what any request may ask of the router."""
    if wanted.max_cost_pico is not None and wanted.max_cost_pico < 0:
        raise invalid("max_cost must be 0 or more", "constraints.max_cost")
    latency_s = wanted.max_latency_s
    if latency_s is not None and not 0 < latency_s <= MAX_LATENCY_S:
        raise invalid(
            f"max_latency_ms must be above 0 and at most {MAX_LATENCY_S * 1000}",
            "constraints.max_latency_ms",
        )
    if len(wanted.labels) > MAX_CONSTRAINTS:
        raise invalid(f"at most {MAX_CONSTRAINTS} labels are taken", "constraints.labels")
    if any(len(one) > MAX_CONSTRAINT_CHARACTERS for pair in wanted.labels.items() for one in pair):
        raise invalid(
            f"a label and its value have at most {MAX_CONSTRAINT_CHARACTERS} characters",
            "constraints.labels",
        )


def autocomplete(payload: Autocomplete, limits: Limits) -> None:
    """Bounds of an autocompletion."""
    if not payload.prefix and not payload.tokens and not payload.suffix:
        raise invalid("prefix is empty; send the text before the cursor", "prefix")
    if len(payload.context) > MAX_CONTEXT_FILES:
        raise invalid(f"context holds at most {MAX_CONTEXT_FILES} files", "context")
    if payload.tokens and min(payload.tokens) < 0:
        raise invalid("a token is an id of the model's vocabulary, 0 or more", "tokens")
    if len(payload.session) > MAX_SESSION_CHARACTERS:
        raise invalid(f"a session has at most {MAX_SESSION_CHARACTERS} characters", "session")
    around = (payload.prefix, payload.suffix, payload.tokens, payload.language, payload.session)
    files = sum(len(file.path) + len(file.text) for file in payload.context) + len(payload.path)
    _size(sum(map(len, around)) + files, limits, "prefix")
    _sampling(payload.sampling)


def chat(payload: Chat, limits: Limits) -> None:
    """Bounds of a conversation."""
    if not payload.messages:
        raise invalid("messages is empty; send at least one message", "messages")
    if len(payload.messages) > MAX_MESSAGES:
        raise invalid(f"messages holds at most {MAX_MESSAGES} entries", "messages")
    for index, message in enumerate(payload.messages):
        if message.role not in ROLES:
            raise invalid(f"role must be one of {', '.join(ROLES)}", f"messages[{index}].role")
    if not any(message.content.strip() for message in payload.messages):
        raise invalid("every message is empty; send some text", "messages")
    _size(sum(len(message.content) for message in payload.messages), limits, "messages")
    _sampling(payload.sampling)


def translate(payload: Translate, limits: Limits) -> None:
    """Bounds of a translation."""
    if not payload.texts or not any(text.strip() for text in payload.texts):
        raise invalid("there is no text to translate", "text")
    if len(payload.texts) > MAX_TEXTS:
        raise invalid(f"at most {MAX_TEXTS} texts are taken in one request", "text")
    if not payload.target:
        raise invalid("target is missing; send a language code such as 'pt'", "target")
    for name, code in (("source", payload.source), ("target", payload.target)):
        _code(name, code)
    if len(payload.glossary) > MAX_TERMS:
        raise invalid(f"a glossary has at most {MAX_TERMS} terms", "glossary")
    for index, (source, target) in enumerate(payload.glossary):
        if not source.strip() or not target.strip():
            raise invalid("a term is some text and its translation", f"glossary[{index}]")
        if max(len(source), len(target)) > MAX_TERM:
            raise invalid(f"a term has at most {MAX_TERM} characters", f"glossary[{index}]")
    terms = sum(len(source) + len(target) for source, target in payload.glossary)
    _size(sum(map(len, payload.texts)) + terms, limits, "text")


def embed(payload: Embed, limits: Limits) -> None:
    """Bounds of texts, or of token ids, to embed."""
    if payload.tokens:
        _many(payload.tokens, "input")
        if not all(payload.tokens) or min(map(min, payload.tokens)) < 0:
            raise invalid("each input holds ids of the model's vocabulary, 0 or more", "input")
        _size(sum(map(len, payload.tokens)), limits, "input")
    else:
        _texts(payload.texts, limits, "text")
    _between("dimensions", payload.dimensions, 0, MAX_DIMENSIONS)


def rerank(payload: Rerank, limits: Limits) -> None:
    """Bounds of a query and its documents."""
    if not payload.query.strip():
        raise invalid("query is empty; send what the documents are to answer", "query")
    _many(payload.documents, "documents")
    _size(len(payload.query) + sum(map(len, payload.documents)), limits, "documents")
    _between("top_n", payload.top_n, 0, MAX_INPUTS)


def classify(payload: Classify, limits: Limits) -> None:
    """Bounds of texts and of the labels to choose from."""
    _texts(payload.texts, limits, "text")
    if len(payload.labels) > MAX_LABELS:
        raise invalid(f"at most {MAX_LABELS} labels are taken", "labels")
    if len(set(payload.labels)) != len(payload.labels):
        raise invalid("a label is given twice; give each once", "labels")
    if not all(0 < len(label.strip()) <= MAX_LABEL_CHARACTERS for label in payload.labels):
        raise invalid(f"a label has 1 to {MAX_LABEL_CHARACTERS} characters", "labels")


def transcribe(payload: Transcribe, limits: Limits) -> None:
    """Bounds of audio as it comes; what it holds decoded, the engine bounds as it decodes."""
    if not payload.audio:
        raise invalid("the audio is empty; send a WAV, FLAC, MP3 or OGG file", "file")
    _code("language", payload.language)
    _size(len(payload.prompt), limits, "prompt")


def summarize(payload: Summarize, limits: Limits) -> None:
    """Bounds of a text to summarize."""
    if not payload.text.strip():
        raise invalid("there is no text to summarize", "text")
    _size(len(payload.text), limits, "text")
    _sampling(payload.sampling)


def _texts(texts: Sequence[str], limits: Limits, param: str) -> None:
    _many(texts, param)
    if not all(text.strip() for text in texts):
        raise invalid(f"{param} holds an empty text; send none that is empty", param)
    _size(sum(map(len, texts)), limits, param)


def _many(values: Sequence[object], param: str) -> None:
    if not values:
        raise invalid(f"{param} is empty; send at least one", param)
    if len(values) > MAX_INPUTS:
        raise invalid(f"{param} holds at most {MAX_INPUTS} entries", param)


def _code(name: str, code: str) -> None:
    if not _CODE.fullmatch(code):
        raise invalid("a language code is short, such as 'en' or 'pt-BR'", name)


def _size(characters: int, limits: Limits, param: str) -> None:
    if characters > limits.max_characters:
        raise ServeError(
            Code.TOO_LARGE,
            f"the request holds {characters} characters; at most {limits.max_characters} are taken",
            param=param,
        )


def _sampling(sampling: Sampling) -> None:
    if sampling.json_schema:
        jsonschema.check(sampling.json_schema)
    _between("max_tokens", sampling.max_tokens, 1, MAX_TOKENS)
    _between("min_tokens", sampling.min_tokens, 0, sampling.max_tokens)
    _between("temperature", sampling.temperature, 0, MAX_TEMPERATURE)
    _between("top_p", sampling.top_p, 0, 1)
    _between("top_k", sampling.top_k, 0, MAX_TOKENS)
    _between("n", sampling.n, 1, MAX_N)
    _between("presence_penalty", sampling.presence_penalty, -MAX_PENALTY, MAX_PENALTY)
    _between("frequency_penalty", sampling.frequency_penalty, -MAX_PENALTY, MAX_PENALTY)
    if sampling.seed is not None:
        _between("seed", sampling.seed, -MAX_SEED, MAX_SEED)
    if len(sampling.stop) > MAX_STOPS:
        raise invalid(f"at most {MAX_STOPS} stop strings are taken", "stop")
    for stop in sampling.stop:
        if not 0 < len(stop) <= MAX_STOP_CHARACTERS:
            raise invalid(f"a stop string has 1 to {MAX_STOP_CHARACTERS} characters", "stop")


def _between(name: str, value: float, low: float, high: float) -> None:
    # Written so that NaN, which compares false with everything, is refused as well.
    if not low <= value <= high:
        raise invalid(f"{name} must be between {low} and {high}", name)
