"""Bodies in: JSON to structs to what core is asked for, and every mistake as a clear 400."""

from __future__ import annotations

import codecs
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET, UnsetType

from hexkey.errors import ServeError, invalid
from hexkey.types import (
    UNBOUNDED,
    UNCONSTRAINED,
    Autocomplete,
    Constraints,
    ContextFile,
    Format,
    Sampling,
    StopRule,
    Translate,
    Usage,
)
from hexkey.wire.constraints import pico
from hexkey.wire.http.schemas import CostDetails, TimingAnswer, UsageAnswer
from hexkey.wire.wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hexkey.types import Cost, Timing
    from hexkey.wire.http.exchange import Exchange
    from hexkey.wire.http.schemas import (
        AutocompleteBody,
        ConstraintsBody,
        Generating,
        SamplingFields,
        TaskFields,
        TranslateBody,
    )

METHOD = "shapley"
"""How the cost of a batch was shared; see docs/adr/0004."""

T = TypeVar("T")
FORM = b"application/x-www-form-urlencoded"
MAX_FIELDS = 2000
_AT = " - at `$"
_FLOAT = "got `float`"
_MAX_WHOLE = 1 << 63
_DEFAULT = Sampling()
_FIXED = 1e9


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Return the body as the decoder's type; ``ServeError`` with the path of what is wrong."""
    try:
        # A byte order mark is what editors and .NET write before their text.
        return _decoded(decoder, body.removeprefix(codecs.BOM_UTF8))
    except msgspec.ValidationError as error:
        raise misfit(error) from None
    except RecursionError:
        raise invalid("the body is nested too deeply") from None
    except UnicodeDecodeError:
        raise invalid("the body is not UTF-8") from None
    except ValueError as error:
        if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise invalid("the body is UTF-16; send it as UTF-8") from None
        if body in {b"", codecs.BOM_UTF8}:
            raise invalid("the body is empty; send a JSON object") from None
        why = str(error).removeprefix("JSON is malformed: ")
        raise invalid(f"the body is not JSON: {_first_lower(why)}") from None


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Return a body that fits, or does so once ``5.0`` is the whole number that it is.

    JSON has one kind of number, and clients in languages that have one, too, write it either way.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        if _FLOAT not in str(error):
            raise
    return decoder.decode(msgspec.json.encode(_ROUNDED.decode(body)))


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise invalid("a number of the body is out of range")
    return int(number) if number.is_integer() and abs(number) < _MAX_WHOLE else number


_ROUNDED = msgspec.json.Decoder(float_hook=_number)


def decode_any(decoder: msgspec.json.Decoder[T], exchange: Exchange) -> T:
    """Return the body, JSON or a form, as the decoder's type; ``ServeError`` as ``decode``."""
    declared = exchange.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    # curl calls everything a form, and no form begins like this.
    begin = exchange.body.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    if declared == FORM and begin != b"{":
        return decode_form(decoder.type, exchange.body)
    return decode(decoder, exchange.body)


def decode_form(kind: type[T], body: bytes) -> T:
    """Return a URL-encoded form, or query, as ``kind``; see ``of_fields``."""
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except UnicodeDecodeError:
        raise invalid("the form is not UTF-8") from None
    except ValueError:
        raise invalid(f"the form has more than {MAX_FIELDS} fields") from None
    return of_fields(kind, pairs)


def of_fields(kind: type[T], pairs: Iterable[tuple[str, object]]) -> T:
    """Return a form's fields as ``kind``; one given twice or more, or as ``name[]``, is a list."""
    fields: dict[str, list[object]] = {}
    lists: set[str] = set()
    for written, value in pairs:
        name = written.removesuffix("[]")
        fields.setdefault(name, []).append(value)
        if name != written or len(fields[name]) > 1:
            lists.add(name)
    found = {name: one if name in lists else one[0] for name, one in fields.items()}
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise misfit(error) from None


def sampling(
    body: SamplingFields,
    *,
    max_tokens: int = _DEFAULT.max_tokens,
    temperature: float = _DEFAULT.temperature,
    logprobs: bool = False,
) -> Sampling:
    """Return the sampling of a body; the keywords are what holds where it says nothing."""
    return Sampling(
        max_tokens=max_tokens if body.max_tokens is None else body.max_tokens,
        temperature=temperature if body.temperature is None else body.temperature,
        top_p=_DEFAULT.top_p if body.top_p is None else body.top_p,
        top_k=body.top_k or 0,
        seed=body.seed,
        stop=stops(body.stop),
        n=1 if body.n is None else body.n,
        presence_penalty=body.presence_penalty or 0.0,
        frequency_penalty=body.frequency_penalty or 0.0,
        logprobs=logprobs,
    )


def limit(tokens: int | None, default: int) -> int:
    """Return ``max_tokens`` where the API has -1 stand for as many as fit."""
    return default if tokens is None else UNBOUNDED if tokens < 0 else tokens


def stops(stop: str | list[str] | None) -> tuple[str, ...]:
    """Return stop strings, of which clients may send one, several or none."""
    return () if stop is None else (stop,) if isinstance(stop, str) else tuple(stop)


def autocomplete(body: AutocompleteBody) -> Autocomplete:
    """Return what core is asked for."""
    return Autocomplete(
        prefix=body.prefix,
        suffix=body.suffix or "",
        language=body.language or "",
        path=body.path or "",
        context=tuple(ContextFile(file.path, file.text) for file in body.context or ()),
        stop_rule=body.stop_rule or StopRule.NONE,
        session=body.session or "",
        sampling=sampling(body),
    )


def translate(body: TranslateBody) -> Translate:
    """Return what core is asked for."""
    return Translate(
        texts=texts(body.text),
        target=body.target,
        source=body.source or "",
        format=body.format or Format.TEXT,
        glossary=tuple((term.source, term.target) for term in body.glossary or ()),
    )


def texts(of: str | list[str]) -> tuple[str, ...]:
    """Return one text or several as several."""
    return (of,) if isinstance(of, str) else tuple(of)


def constraints(body: ConstraintsBody | None) -> Constraints:
    """Return the constraints that a body holds."""
    if body is None:
        return UNCONSTRAINED
    cost, latency_ms = body.max_cost, body.max_latency_ms
    if isinstance(cost, float):
        # Shortest text that stands for it, which is what the caller wrote.
        cost = repr(cost) if cost < _FIXED else f"{cost:.0f}"
    return Constraints(
        max_cost_pico=None if cost is None else pico(cost, "constraints.max_cost"),
        max_latency_s=None if latency_ms is None else latency_ms / 1000,
        labels=body.labels or {},
    )


def wishes(body: TaskFields | Generating) -> Wishes:
    """Return how a body of hexkey's own API wants its request run."""
    return Wishes(body.priority, constraints(body.constraints))


def usage(event: Usage) -> UsageAnswer:
    """Return usage as hexkey's own API shows it."""
    return UsageAnswer(
        event.input_tokens,
        event.output_tokens,
        event.cached_tokens,
        event.input_characters,
        event.audio_seconds or UNSET,
        *cost(event.cost),
        timing(event.timing),
    )


def cost(of: Cost | None) -> tuple[float | UnsetType, CostDetails | UnsetType]:
    """Return the two cost fields of a usage; unset where costs are not exposed."""
    if of is None:
        return UNSET, UNSET
    details = CostDetails(
        currency=of.currency,
        amount=of.amount,
        method=METHOD,
        device_seconds=of.device_seconds,
        energy_joules=of.energy_joules,
        counterfactual=of.counterfactual,
    )
    return of.pico / 1e12, details


def refuse(body: msgspec.Struct, *names: str) -> None:
    """Refuse a body that asks for what its API knows and hexkey does not serve."""
    for name in names:
        if getattr(body, name):
            raise invalid(f"{name} is not supported", name)


def timing(of: Timing | None) -> TimingAnswer | UnsetType:
    """Return the timing of a usage; unset where it is not exposed."""
    if of is None:
        return UNSET
    parts = (of.route, of.queue, of.prefill, of.decode)
    return TimingAnswer(*(round(1000 * part, 3) for part in parts))


def renamed(error: ServeError, names: Mapping[str, str]) -> ServeError:
    """Return an error that names a field as the caller of this API wrote it."""
    core = error.param or ""
    if core in names:
        error.param = names[core]
        if error.message.startswith(core):
            error.message = error.param + error.message.removeprefix(core)
    return error


@contextmanager
def naming(names: Mapping[str, str]) -> Iterator[None]:
    """Have errors raised inside name fields as the caller of this API wrote them."""
    try:
        yield
    except ServeError as error:
        raise renamed(error, names) from None


def misfit(error: msgspec.ValidationError) -> ServeError:
    """Return the refusal of a value that is not of the type asked for, with its path."""
    text, _, path = str(error).partition(_AT)
    param = path.rstrip("`").removeprefix(".") or None
    return invalid(f"{param or 'the body'}: {_first_lower(text)}", param)


def _first_lower(text: str) -> str:
    return text[:1].lower() + text[1:]
