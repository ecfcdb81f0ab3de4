"""hexkey's own API: say the task, not the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hexkey.errors import invalid
from hexkey.types import Delta, Finish, Task, Usage
from hexkey.wire.http import codec, openai_chat
from hexkey.wire.http.runs import collect, served_by, stream
from hexkey.wire.http.schemas import (
    AutocompleteAnswer,
    AutocompleteBody,
    AutocompleteChoice,
    LanguagePair,
    RouteAnswer,
    RouteBody,
    StartEvent,
    TaskEvent,
    TranslateAnswer,
    TranslateBody,
    Translation,
    VerdictAnswer,
)
from hexkey.wire.http.stream import DONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from hexkey.routing import Pair
    from hexkey.service import Run, Service
    from hexkey.types import Payload
    from hexkey.wire.http.exchange import Exchange

_AUTOCOMPLETE = msgspec.json.Decoder(AutocompleteBody)
_TRANSLATE = msgspec.json.Decoder(TranslateBody)
_ROUTE = msgspec.json.Decoder(RouteBody)
_encode = msgspec.json.encode


async def autocomplete(exchange: Exchange, service: Service) -> None:
    """Continue a text or fill the gap between a prefix and a suffix."""
    body = codec.decode(_AUTOCOMPLETE, exchange.body)
    payload = codec.autocomplete(body)
    run = service.run(exchange.request(payload, body.model))
    if body.stream:
        await stream(exchange, run, TaskEvents(exchange.id, run))
        return
    outputs, usage = await collect(exchange, run, payload.sampling.n)
    choices = [
        AutocompleteChoice(index, output.text, output.reason)
        for index, output in enumerate(outputs)
    ]
    answer = AutocompleteAnswer(exchange.id, run.model, choices, codec.usage(usage), run.notes)
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


async def translate(exchange: Exchange, service: Service) -> None:
    """Translate one text or several."""
    body = codec.decode(_TRANSLATE, exchange.body)
    payload = codec.translate(body)
    run = service.run(exchange.request(payload, body.model))
    if body.stream:
        await stream(exchange, run, TaskEvents(exchange.id, run))
        return
    outputs, usage = await collect(exchange, run, len(payload.texts))
    pair = _pair(run.pair)
    translations = [Translation(output.text, pair.source, pair.target) for output in outputs]
    answer = TranslateAnswer(exchange.id, run.model, translations, codec.usage(usage), run.notes)
    await exchange.json(answer, served_by(exchange, run.model, usage.cost))


async def route(exchange: Exchange, service: Service) -> None:
    """Tell which model would serve a request, and why, without running it."""
    task = codec.decode(_ROUTE, exchange.body).task
    if task not in _PAYLOADS:
        raise invalid(f"routes of {task} are not explained here", "task")
    payload, model = _PAYLOADS[task](exchange.body)
    plan = service.explain(exchange.request(payload, model))
    verdicts = [VerdictAnswer(one.model, one.kept, one.reason) for one in plan.verdicts]
    pair = None if plan.pair is None else _pair(plan.pair)
    await exchange.json(RouteAnswer(plan.model, pair, verdicts))


class TaskEvents:
    """Writes the events of hexkey's own streams; see ``schemas.TaskEvent``."""

    __slots__ = ("_id", "_run")

    def __init__(self, request_id: str, run: Run) -> None:
        self._id = request_id
        self._run = run

    def start(self, model: str, notes: tuple[str, ...]) -> bytes:
        """Write who serves."""
        pair = self._run.pair
        start = StartEvent(self._id, model, notes)
        if pair is not None:
            start.pair = _pair(pair)
        return _event(TaskEvent(start=start))

    def delta(self, event: Delta) -> bytes:
        """Write more text; this runs per token, so it is put together from constant pieces."""
        return b'data: {"delta":{"index":%d,"text":%b,"token_count":%d}}\n\n' % (
            event.index,
            _encode(event.text),
            event.tokens,
        )

    def finish(self, event: Finish) -> bytes:
        """Write that one output is complete."""
        return b'data: {"finish":{"index":%d,"reason":"%b"}}\n\n' % (
            event.index,
            event.reason.encode(),
        )

    def end(self, event: Usage) -> bytes:
        """Write what it took."""
        return _event(TaskEvent(usage=codec.usage(event))) + DONE


def _event(event: TaskEvent) -> bytes:
    return b"data: " + _encode(event) + b"\n\n"


def _pair(pair: Pair | None) -> LanguagePair:
    return LanguagePair(pair.source, pair.target) if pair else LanguagePair("", "")


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
}
