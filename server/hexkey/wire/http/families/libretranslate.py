"""LibreTranslate's API: ``POST /translate``, ``POST /detect``, ``GET /languages``.

Source: LibreTranslate's own API reference and ``libretranslatepy``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from hexkey import polyglot, routing
from hexkey.errors import Code, ServeError, invalid
from hexkey.text.languages import name
from hexkey.types import Format, Translate
from hexkey.wire.http import multipart
from hexkey.wire.http.errors import STATUSES, Dialect
from hexkey.wire.http.families import languages
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.runs import collect, served_by

if TYPE_CHECKING:
    from hexkey.routing import Detected
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange


class LibreTranslateBody(Struct):
    """Asks for the translation of a text, or of each of a list."""

    q: Annotated[str | list[str], Meta(description="One text or several.")]
    target: Annotated[str, Meta(description="Language code.", examples=["pt"])]
    source: Annotated[str, Meta(description="Language code, or auto.")] = routing.AUTO
    format: Annotated[str | None, Meta(description="text or html.")] = None
    alternatives: Annotated[int | None, Meta(description="None are made.")] = None


class LibreTranslateDetectBody(Struct):
    """Asks which language a text is in."""

    q: Annotated[str, Meta(description="The text.")]


class DetectedLanguage(Struct):
    """A source language that was not given; ``confidence`` is from 0 to 100."""

    confidence: float
    language: str


class LibreTranslateAnswer(Struct, rename="camel"):
    """The translation; each field is a list where ``q`` was one."""

    translated_text: str | list[str]
    detected_language: DetectedLanguage | list[DetectedLanguage] | UnsetType = UNSET
    alternatives: list[str | list[str]] | UnsetType = UNSET


class LibreTranslateLanguage(Struct):
    """A language, and the languages it is translated into."""

    code: str
    name: str
    targets: list[str]


class LibreTranslateError(Struct):
    """Body of every answer that is an error."""

    error: str


def _tell(error: ServeError, _status: int) -> LibreTranslateError:
    return LibreTranslateError(error.message)


# A language that is not served is a bad value to these clients, and never a missing page.
DIALECT = Dialect(
    "LibreTranslateError",
    STATUSES | {Code.NOT_FOUND: 400},
    LibreTranslateError,
    _tell,
    key_in_body=True,
)
_BODY = msgspec.json.Decoder(LibreTranslateBody)
_DETECT = msgspec.json.Decoder(LibreTranslateDetectBody)


async def libretranslate(exchange: Exchange, service: Service) -> None:
    """Translate one text or several, as LibreTranslate does."""
    body = multipart.decode_any(_BODY, exchange)
    if body.format not in {None, "text", "html"}:
        raise invalid("format must be text or html", "format")
    many = not isinstance(body.q, str)
    texts = (body.q,) if isinstance(body.q, str) else tuple(body.q)
    payload = Translate(
        texts=texts,
        target=body.target,
        source=body.source,
        format=Format(body.format or Format.TEXT),
    )
    run = polyglot.run(service, exchange.request(payload, None))
    outputs, usage = await collect(exchange, run)
    translated = [output.text for output in outputs]
    answer = LibreTranslateAnswer(translated if many else translated[0])
    found = [run.spoken(index)[1] for index in range(len(texts))]
    detected = [_detected(one) for one in found if one is not None]
    if detected:
        answer.detected_language = detected if many else detected[0]
    if body.alternatives:
        answer.alternatives = [[] for _ in texts] if many else []
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


async def libretranslate_languages(exchange: Exchange, service: Service) -> None:
    """List the languages, each with those it is translated into."""
    pairs = languages.directions(service, exchange.caller)
    codes = sorted({code for pair in pairs for code in (pair.source, pair.target)})
    await exchange.json(
        [
            LibreTranslateLanguage(
                code, name(code), [pair.target for pair in pairs if pair.source == code]
            )
            for code in codes
        ]
    )


async def libretranslate_detect(exchange: Exchange, service: Service) -> None:
    """Find out the language of a text, among those that are translated from."""
    body = multipart.decode_any(_DETECT, exchange)
    if not body.q.strip():
        raise invalid("q is empty; send some text", "q")
    # No model runs, but its headers are those of any request and are read as such.
    exchange.request(Translate(texts=(body.q,), target=routing.AUTO), None)
    await exchange.json([_detected(one) for one in await service.detect(exchange.caller, [body.q])])


def _detected(of: Detected) -> DetectedLanguage:
    return DetectedLanguage(round(100 * of.confidence, 1), of.language)


OPERATIONS = (
    Operation(
        "POST", "/translate", libretranslate,
        LibreTranslateAnswer, LibreTranslateBody, dialect=DIALECT, form=True,
    ),
    Operation(
        "POST", "/detect", libretranslate_detect,
        list[DetectedLanguage], LibreTranslateDetectBody, dialect=DIALECT, form=True,
    ),
    Operation(
        "GET", "/languages", libretranslate_languages,
        list[LibreTranslateLanguage], dialect=DIALECT,
    ),
)  # fmt: skip
