"""hexkey's own API: say the task, not the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hexkey import polyglot
from hexkey.types import Task
from hexkey.wire.http import codec, openai_chat, retrieval, speech, summaries
from hexkey.wire.http.explanation import explanation
from hexkey.wire.http.runs import collect, served_by, stream
from hexkey.wire.http.schemas import (
    AutocompleteAnswer,
    AutocompleteBody,
    AutocompleteChoice,
    RouteBody,
    TranslateAnswer,
    TranslateBody,
    Translation,
)
from hexkey.wire.http.taskevents import TaskEvents, pair_of
from hexkey.wire.wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import Callable

    from hexkey.service import Service
    from hexkey.types import Payload
    from hexkey.wire.http.exchange import Exchange

_AUTOCOMPLETE = msgspec.json.Decoder(AutocompleteBody)
_TRANSLATE = msgspec.json.Decoder(TranslateBody)
_ROUTE = msgspec.json.Decoder(RouteBody)


async def autocomplete(exchange: Exchange, service: Service) -> None:
    """Continue a text or fill the gap between a prefix and a suffix."""
    body = codec.decode(_AUTOCOMPLETE, exchange.body)
    payload = codec.autocomplete(body)
    run = service.run(exchange.request(payload, body.model, codec.wishes(body)))
    if body.stream:
        await stream(exchange, run, TaskEvents(exchange.id, run))
        return
    outputs, usage = await collect(exchange, run)
    choices = [
        AutocompleteChoice(index, output.text, output.reason)
        for index, output in enumerate(outputs)
    ]
    answer = AutocompleteAnswer(
        exchange.id, run.model, choices, codec.usage(usage), run.notes, run.cached
    )
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


async def translate(exchange: Exchange, service: Service) -> None:
    """Translate one text or several."""
    body = codec.decode(_TRANSLATE, exchange.body)
    payload = codec.translate(body)
    asked = exchange.request(payload, body.model, codec.wishes(body))
    run = polyglot.run(service, asked)
    if body.stream:
        await stream(exchange, run, TaskEvents(exchange.id, run, len(payload.texts)))
        return
    outputs, usage = await collect(exchange, run)
    translations = []
    for index, output in enumerate(outputs):
        pair = pair_of(run.spoken(index)[0])
        translations.append(Translation(output.text, pair.source, pair.target))
    answer = TranslateAnswer(exchange.id, run.model, translations, codec.usage(usage), run.notes)
    if (detected := run.spoken(0)[1]) is not None:
        answer.detected_source = detected.language
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


async def route(exchange: Exchange, service: Service) -> None:
    """Tell how a request would be routed, and why, without running it."""
    body = codec.decode(_ROUTE, exchange.body)
    payload, model = _PAYLOADS[body.task](exchange.body)
    request = exchange.request(payload, model, Wishes(None, codec.constraints(body.constraints)))
    await exchange.json(explanation(await service.explain(request)))


def _autocomplete_of(body: bytes) -> tuple[Payload, str | None]:
    decoded = codec.decode(_AUTOCOMPLETE, body)
    return codec.autocomplete(decoded), decoded.model


def _translate_of(body: bytes) -> tuple[Payload, str | None]:
    decoded = codec.decode(_TRANSLATE, body)
    return codec.translate(decoded), decoded.model


_PAYLOADS: dict[Task, Callable[[bytes], tuple[Payload, str | None]]] = {
    Task.AUTOCOMPLETE: _autocomplete_of,
    Task.TRANSLATE: _translate_of,
    Task.CHAT: openai_chat.payload_of,
    Task.EMBED: retrieval.embed_of,
    Task.RERANK: retrieval.rerank_of,
    Task.CLASSIFY: retrieval.classify_of,
    Task.TRANSCRIBE: speech.transcribe_of,
    Task.SUMMARIZE: summaries.summarize_of,
}
