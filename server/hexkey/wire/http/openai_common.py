"""What completions and chat completions have in common."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from hexkey.errors import invalid
from hexkey.types import UNBOUNDED
from hexkey.validation import ROLES
from hexkey.wire.http import codec
from hexkey.wire.http.openai_schemas import CompletionUsage, PromptDetails

if TYPE_CHECKING:
    from collections.abc import Container

    from hexkey.types import Sampling, Usage
    from hexkey.wire.http.openai_schemas import ContentPart, OpenAIFields

ALL = -1
TEMPERATURE = 1.0
MAX_LOGPROBS = 1


def usage(event: Usage) -> CompletionUsage:
    """Return usage as OpenAI counts it."""
    return CompletionUsage(
        event.input_tokens,
        event.output_tokens,
        event.input_tokens + event.output_tokens,
        PromptDetails(event.cached_tokens),
        *codec.cost(event.cost),
        codec.timing(event.timing),
    )


def include_usage(body: OpenAIFields) -> bool:
    """Return whether a stream ends with its usage."""
    return bool(body.stream_options and body.stream_options.include_usage)


def check(body: OpenAIFields, param: str, logprobs: int | None) -> None:
    """Refuse what both know and hexkey does not serve; ``param`` is what ``logprobs`` came as."""
    if body.logit_bias:
        raise invalid("logit_bias is not supported", "logit_bias")
    if logprobs is not None and not 0 <= logprobs <= MAX_LOGPROBS:
        raise invalid(
            f"{param} must be between 0 and {MAX_LOGPROBS}: only the chosen token's log-probability"
            " is known",
            param,
        )


def sampling(body: OpenAIFields, max_tokens: int, *, logprobs: bool) -> Sampling:
    """Return how tokens are chosen.

    -1 for ``max_tokens`` is what llama.cpp's clients send, ``ignore_eos`` what load harnesses do.
    """
    if body.max_tokens == ALL:
        body.max_tokens = UNBOUNDED
    made = codec.sampling(body, max_tokens=max_tokens, temperature=TEMPERATURE, logprobs=logprobs)
    least = made.max_tokens if body.ignore_eos else body.min_tokens or 0
    return msgspec.structs.replace(made, min_tokens=least) if least else made


def text(content: str | list[ContentPart] | None, kinds: Container[str], param: str) -> str:
    """Return the text of a message whose parts are all of ``kinds``; ``ServeError`` if not."""
    if not isinstance(content, list):
        return content or ""
    for index, part in enumerate(content):
        if part.type not in kinds:
            raise invalid("only content parts of type text are supported", f"{param}[{index}].type")
    return "".join(part.text or "" for part in content)


def role(name: str, param: str) -> str:
    """Return a role as models were trained with it, as OpenAI has renamed one since."""
    name = "system" if name == "developer" else name
    if name not in ROLES:
        raise invalid(f"role must be one of {', '.join(ROLES)}", param)
    return name


def now() -> int:
    """Return ``created``: Unix time in seconds."""
    return int(time.time())


def token_text(token: bytes) -> str:
    """Return a token for people; one that is part of a character has no text of its own."""
    return token.decode(errors="replace")
