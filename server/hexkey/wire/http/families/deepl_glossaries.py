"""DeepL's glossaries: ``/v2/glossaries``. Source: DeepL's API reference, its client."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from hexkey import routing
from hexkey.errors import invalid
from hexkey.wire.http import codec
from hexkey.wire.http.families.deepl import DIALECT
from hexkey.wire.http.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hexkey.glossaries import Glossary
    from hexkey.service import Service
    from hexkey.validation import Limits
    from hexkey.wire.http.exchange import Exchange

_TSV = b"text/tab-separated-values"
_COLUMNS = 2


class DeepLGlossaryBody(Struct):
    """A new glossary."""

    name: str
    source_lang: str
    target_lang: str
    entries: Annotated[str, Meta(description="A line a term: the term, its translation.")]
    entries_format: Annotated[str, Meta(description="tsv or csv.")] = "tsv"


class DeepLGlossary(Struct):
    """A glossary, its entries aside."""

    glossary_id: str
    name: str
    ready: bool
    source_lang: str
    target_lang: str
    creation_time: str
    entry_count: int


class DeepLGlossaries(Struct):
    """All glossaries of the caller."""

    glossaries: list[DeepLGlossary]


class DeepLGlossaryPair(Struct):
    """A direction that a glossary can be of."""

    source_lang: str
    target_lang: str


class DeepLGlossaryPairs(Struct):
    """All such directions."""

    supported_languages: list[DeepLGlossaryPair]


_BODY = msgspec.json.Decoder(DeepLGlossaryBody)


async def deepl_create_glossary(exchange: Exchange, service: Service) -> None:
    """Keep a glossary."""
    body = codec.decode_any(_BODY, exchange)
    pair = (routing.language(body.source_lang), routing.language(body.target_lang))
    terms = _terms(body, service.limits)
    made = await service.glossaries.add(exchange.caller.tenant, body.name, pair, terms)
    await exchange.json(_told(made), status=201)


async def deepl_list_glossaries(exchange: Exchange, service: Service) -> None:
    """List the caller's glossaries."""
    mine = service.glossaries.of(exchange.caller.tenant)
    await exchange.json(DeepLGlossaries([_told(one) for one in mine]))


async def deepl_get_glossary(exchange: Exchange, service: Service) -> None:
    """Tell of one glossary."""
    await exchange.json(_told(_asked(exchange, service)))


async def deepl_glossary_entries(exchange: Exchange, service: Service) -> None:
    """Return the entries of a glossary, a line a term."""
    lines = ["\t".join(term) for term in _asked(exchange, service).terms]
    await exchange.answer(200, "\n".join(lines).encode(), ((b"content-type", _TSV),))


async def deepl_delete_glossary(exchange: Exchange, service: Service) -> None:
    """Forget a glossary."""
    glossary = _asked(exchange, service)
    await service.glossaries.remove(glossary.tenant, glossary.id)
    await exchange.start(204, ())
    await exchange.write(b"", more=False)


async def deepl_glossary_pairs(exchange: Exchange, service: Service) -> None:
    """List the directions that a glossary can be of: all that are served."""
    pairs = routing.pairs(service.catalog(exchange.caller))
    await exchange.json(
        DeepLGlossaryPairs([DeepLGlossaryPair(one.source, one.target) for one in pairs])
    )


def _asked(exchange: Exchange, service: Service) -> Glossary:
    return service.glossaries.get(exchange.caller.tenant, exchange.scope["path_params"]["id"])


def _terms(body: DeepLGlossaryBody, limits: Limits) -> tuple[tuple[str, str], ...]:
    if body.entries_format not in {"tsv", "csv"}:
        raise invalid("entries_format must be tsv or csv", "entries_format")
    if len(body.entries) > limits.max_characters:
        raise invalid(f"entries has at most {limits.max_characters} characters", "entries")
    terms = []
    for number, row in enumerate(_rows(body), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) < _COLUMNS or not cells[0] or not cells[1]:
            raise invalid(f"line {number} is no term and its translation", "entries")
        terms.append((cells[0], cells[1]))
    return tuple(terms)


def _rows(body: DeepLGlossaryBody) -> Iterator[list[str]]:
    if body.entries_format == "tsv":
        yield from (line.split("\t") for line in body.entries.splitlines())
        return
    try:
        yield from csv.reader(io.StringIO(body.entries, newline=""))
    except csv.Error as error:
        raise invalid(f"entries is not CSV: {error}", "entries") from None


def _told(glossary: Glossary) -> DeepLGlossary:
    return DeepLGlossary(
        glossary_id=glossary.id,
        name=glossary.name,
        ready=True,
        source_lang=glossary.source,
        target_lang=glossary.target,
        creation_time=datetime.fromtimestamp(glossary.created, UTC).isoformat(),
        entry_count=len(glossary.terms),
    )


OPERATIONS = (
    Operation(
        "POST", "/v2/glossaries", deepl_create_glossary, DeepLGlossary, DeepLGlossaryBody,
        dialect=DIALECT, form=True, timed=False, also=(201,),
    ),
    Operation("GET", "/v2/glossaries", deepl_list_glossaries, DeepLGlossaries, dialect=DIALECT),
    Operation(
        "GET", "/v2/glossaries/{id}/entries", deepl_glossary_entries, None, dialect=DIALECT
    ),
    Operation("GET", "/v2/glossaries/{id}", deepl_get_glossary, DeepLGlossary, dialect=DIALECT),
    Operation(
        "DELETE", "/v2/glossaries/{id}", deepl_delete_glossary, None, dialect=DIALECT, also=(204,)
    ),
    Operation(
        "GET", "/v2/glossary-language-pairs", deepl_glossary_pairs, DeepLGlossaryPairs,
        dialect=DIALECT,
    ),
)  # fmt: skip
