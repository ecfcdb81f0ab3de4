"""Bodies in: JSON to structs to what core is asked for, and every mistake as a clear 400."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from hexkey.errors import ServeError, invalid
from hexkey.types import (
    Autocomplete,
    ContextFile,
    Sampling,
    StopRule,
    Translate,
    Usage,
)
from hexkey.wire.http.schemas import UsageAnswer

if TYPE_CHECKING:
    from hexkey.wire.http.schemas import AutocompleteBody, SamplingFields, TranslateBody

T = TypeVar("T")
_AT = " - at `$"
_DEFAULT = Sampling()


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Return the body as the decoder's type; ``ServeError`` with the path of what is wrong."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(_AT)
        param = path.rstrip("`").removeprefix(".") or None
        raise invalid(f"{param or 'the body'}: {text[0].lower()}{text[1:]}", param) from None
    except RecursionError:
        raise invalid("the body is nested too deeply") from None
    except UnicodeDecodeError:
        raise invalid("the body is not UTF-8") from None
    except ValueError as error:
        if not body:
            raise invalid("the body is empty; send a JSON object") from None
        raise invalid(f"the body is not JSON: {_first_lower(str(error))}") from None


def sampling(
    body: SamplingFields,
    *,
    max_tokens: int = _DEFAULT.max_tokens,
    temperature: float = _DEFAULT.temperature,
    logprobs: bool = False,
) -> Sampling:
    """Return the sampling of a body; the keywords are what holds where it says nothing."""
    stop = body.stop
    return Sampling(
        max_tokens=max_tokens if body.max_tokens is None else body.max_tokens,
        temperature=temperature if body.temperature is None else body.temperature,
        top_p=_DEFAULT.top_p if body.top_p is None else body.top_p,
        top_k=body.top_k or 0,
        seed=body.seed,
        stop=() if stop is None else (stop,) if isinstance(stop, str) else tuple(stop),
        n=1 if body.n is None else body.n,
        presence_penalty=body.presence_penalty or 0.0,
        frequency_penalty=body.frequency_penalty or 0.0,
        logprobs=logprobs,
    )


def autocomplete(body: AutocompleteBody) -> Autocomplete:
    """Return what core is asked for."""
    return Autocomplete(
        prefix=body.prefix,
        suffix=body.suffix or "",
        language=body.language or "",
        context=tuple(ContextFile(file.path, file.text) for file in body.context or ()),
        stop_rule=body.stop_rule or StopRule.NONE,
        session=body.session or "",
        sampling=sampling(body),
    )


def translate(body: TranslateBody) -> Translate:
    """Return what core is asked for."""
    texts = (body.text,) if isinstance(body.text, str) else tuple(body.text)
    return Translate(texts=texts, target=body.target, source=body.source or "")


def usage(event: Usage) -> UsageAnswer:
    """Return usage as hexkey's own API shows it."""
    return UsageAnswer(
        event.input_tokens, event.output_tokens, event.cached_tokens, event.input_characters
    )


def renamed(error: ServeError, names: dict[str, str]) -> ServeError:
    """Return an error that names a field as the caller of this API wrote it."""
    if error.param in names:
        error.param = names[error.param]
    return error


def _first_lower(text: str) -> str:
    return text[:1].lower() + text[1:]
