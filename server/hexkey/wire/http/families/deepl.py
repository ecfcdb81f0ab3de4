"""DeepL's API: ``POST /v2/translate``, ``GET /v2/languages``, ``GET /v2/usage``.

Source: DeepL's API reference and the ``deepl`` client. Codes are in upper case there; sources have
no region. A region is served by the model of its language where no model has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from hexkey import polyglot, routing
from hexkey.errors import Code, ServeError, invalid
from hexkey.text.languages import name
from hexkey.types import Format, Translate
from hexkey.wire.http import codec
from hexkey.wire.http.errors import STATUSES, Dialect
from hexkey.wire.http.families import languages
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.runs import collect, served_by

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.wire.http.exchange import Exchange

UNLIMITED = 1_000_000_000_000
"""``character_limit`` of a DeepL account that has none."""
# The client refuses these two as targets unless they name a region, so the list names them so.
_REGIONS = {"EN": ("EN-GB", "EN-US"), "PT": ("PT-BR", "PT-PT")}
_OPTIONAL_FORMALITY = {"default", "prefer_more", "prefer_less"}
_NOT_SERVED = Meta(description="Not served.")


class DeepLBody(Struct):
    """Asks for translations of texts."""

    text: Annotated[str | list[str], Meta(description="Texts; a form may give one.")]
    target_lang: Annotated[str, Meta(description="Language code.", examples=["PT-BR"])]
    source_lang: str | None = None
    formality: Annotated[str | None, Meta(description="Only what may be left unheeded.")] = None
    show_billed_characters: bool | None = None
    tag_handling: Annotated[str | None, Meta(description="html or xml.")] = None
    glossary_id: Annotated[str | None, Meta(description="Needs source_lang.")] = None
    glossary_ids: Annotated[str | list[str] | None, _NOT_SERVED] = None
    style_id: Annotated[str | None, _NOT_SERVED] = None
    translation_memory_id: Annotated[str | None, _NOT_SERVED] = None
    custom_instructions: Annotated[str | list[str] | None, _NOT_SERVED] = None


class DeepLTranslation(Struct):
    """One translated text."""

    detected_source_language: str
    text: str
    billed_characters: int | UnsetType = UNSET


class DeepLAnswer(Struct):
    """The translations, in the order of the texts."""

    translations: list[DeepLTranslation]


class DeepLLanguage(Struct):
    """A language; ``supports_formality`` stands with targets only."""

    language: str
    name: str
    supports_formality: bool | UnsetType = UNSET


class DeepLUsage(Struct):
    """Characters translated in this month, UTC, and how many may be."""

    character_count: int
    character_limit: int


class DeepLError(Struct):
    """Body of every answer that is an error."""

    message: str
    detail: str


class _LanguagesQuery(Struct):
    type: str = "source"


def _tell(error: ServeError, _status: int) -> DeepLError:
    return DeepLError(error.message, error.reason.lower())


# Its client knows a bad key by 403 alone, takes 404 for a glossary that is not there or a wrong
# address of the server, and does not try again on 456.
DIALECT = Dialect(
    "DeepLError",
    STATUSES | {Code.NOT_FOUND: 400, Code.UNAUTHENTICATED: 403},
    DeepLError,
    _tell,
    {"BUDGET_EXHAUSTED": 456, "GLOSSARY_NOT_FOUND": 404},
)
_BODY = msgspec.json.Decoder(DeepLBody)


async def deepl_translate(exchange: Exchange, service: Service) -> None:
    """Translate texts, as DeepL does."""
    body = codec.decode_any(_BODY, exchange)
    codec.refuse(body, "glossary_ids", "style_id", "translation_memory_id", "custom_instructions")
    if body.tag_handling not in {None, "html", "xml"}:
        raise invalid("tag_handling must be html or xml", "tag_handling")
    if body.formality and body.formality not in _OPTIONAL_FORMALITY:
        raise invalid("formality is not supported for the given target_lang", "formality")
    texts = (body.text,) if isinstance(body.text, str) else tuple(body.text)
    payload = Translate(
        texts=texts,
        target=body.target_lang,
        source=body.source_lang or "",
        format=Format(body.tag_handling or Format.TEXT),
        glossary=_glossary(body, exchange, service),
    )
    run = polyglot.run(service, exchange.request(payload, None))
    outputs, usage = await collect(exchange, run)
    translations = []
    for index, (text, output) in enumerate(zip(texts, outputs, strict=True)):
        pair, _ = run.spoken(index)
        source = routing.language(pair.source).upper() if pair else ""
        billed = len(text) if body.show_billed_characters else UNSET
        translations.append(DeepLTranslation(source, output.text, billed))
    await exchange.json(DeepLAnswer(translations), served_by(exchange, run.model, usage.cost))


def _glossary(body: DeepLBody, exchange: Exchange, service: Service) -> tuple[tuple[str, str], ...]:
    if not body.glossary_id:
        return ()
    if not body.source_lang:
        raise invalid("a glossary needs source_lang", "source_lang")
    glossary = service.glossaries.get(exchange.caller.tenant, body.glossary_id)
    pair = (routing.language(body.source_lang), routing.language(body.target_lang))
    if pair != (glossary.source, glossary.target):
        raise invalid(f"this glossary is for {glossary.source}-{glossary.target}", "glossary_id")
    return glossary.terms


async def deepl_languages(exchange: Exchange, service: Service) -> None:
    """List source languages or, with ``type=target``, target languages."""
    # The client sends the type as a form, though it is a GET.
    asked = exchange.body or exchange.scope["query_string"]
    kind = codec.decode_form(_LanguagesQuery, asked).type
    if kind not in {"source", "target"}:
        raise invalid("type must be source or target", "type")
    pairs = languages.directions(service, exchange.caller)
    if kind == "source":
        sources = sorted({routing.language(pair.source) for pair in pairs})
        answer = [DeepLLanguage(code.upper(), name(code)) for code in sources]
    else:
        answer = [
            DeepLLanguage(code, name(target), supports_formality=False)
            for target in sorted({pair.target for pair in pairs})
            for code in _REGIONS.get(target.upper(), (target.upper(),))
        ]
    await exchange.json(answer)


async def deepl_usage(exchange: Exchange, service: Service) -> None:
    """Tell how much the caller's tenant had translated; without keys, how much everybody had."""
    count = service.access.translated(exchange.caller.tenant)
    await exchange.json(DeepLUsage(count, UNLIMITED))


OPERATIONS = (
    Operation(
        "POST", "/v2/translate", deepl_translate, DeepLAnswer, DeepLBody, dialect=DIALECT, form=True
    ),
    Operation("GET", "/v2/languages", deepl_languages, list[DeepLLanguage], dialect=DIALECT),
    Operation("GET", "/v2/usage", deepl_usage, DeepLUsage, dialect=DIALECT),
)  # fmt: skip
