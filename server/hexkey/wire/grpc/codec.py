"""Between the messages of ``hexkey.v1`` and the types of the house; pure, both ways."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from hexkey.engines.supervisor import State
from hexkey.errors import invalid
from hexkey.types import (
    Autocomplete,
    Chat,
    Constraints,
    ContextFile,
    Delta,
    Finish,
    FinishReason,
    Format,
    Length,
    Message,
    Priority,
    Sampling,
    Segment,
    StopRule,
    Summarize,
    Task,
    Translate,
)
from hexkey.v1 import inference_pb2 as pb
from hexkey.wire.constraints import pico

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

    from hexkey.routing import Candidate, Detected, Estimate, Pair, Plan, Verdict
    from hexkey.types import Cost, Event, ModelInfo, Payload, Usage
    from hexkey.wire.answer import Answer

STOP_RULE = {
    pb.STOP_RULE_UNSPECIFIED: StopRule.NONE,
    pb.STOP_RULE_NONE: StopRule.NONE,
    pb.STOP_RULE_LINE: StopRule.LINE,
    pb.STOP_RULE_SENTENCE: StopRule.SENTENCE,
    pb.STOP_RULE_BLOCK: StopRule.BLOCK,
}
LENGTH = {
    pb.LENGTH_UNSPECIFIED: Length.MEDIUM,
    pb.LENGTH_SHORT: Length.SHORT,
    pb.LENGTH_MEDIUM: Length.MEDIUM,
    pb.LENGTH_LONG: Length.LONG,
}
FORMAT = {
    pb.TEXT_FORMAT_UNSPECIFIED: Format.TEXT,
    pb.TEXT_FORMAT_TEXT: Format.TEXT,
    pb.TEXT_FORMAT_HTML: Format.HTML,
    pb.TEXT_FORMAT_XML: Format.XML,
}
PRIORITY: dict[int, Priority | None] = {
    pb.PRIORITY_UNSPECIFIED: None,
    pb.PRIORITY_INTERACTIVE: Priority.INTERACTIVE,
    pb.PRIORITY_NORMAL: Priority.NORMAL,
    pb.PRIORITY_BATCH: Priority.BATCH,
}
FINISH_REASON = {
    FinishReason.STOP: pb.FINISH_REASON_STOP,
    FinishReason.LENGTH: pb.FINISH_REASON_LENGTH,
}
TASK = {task: getattr(pb, f"TASK_{task.name}") for task in Task}
MODEL_STATE = {
    State.STOPPED: pb.MODEL_STATE_STOPPED,
    State.LOADING: pb.MODEL_STATE_LOADING,
    State.READY: pb.MODEL_STATE_READY,
    State.DRAINING: pb.MODEL_STATE_DRAINING,
    State.BACKOFF: pb.MODEL_STATE_BACKOFF,
    State.FAILED: pb.MODEL_STATE_FAILED,
}

# Set or not is told apart, since 0 is a value (or an error) and not the default.
_OPTIONAL = ("max_tokens", "temperature", "top_p", "seed", "n")


@dataclass(frozen=True, slots=True)
class Served:
    """What is served, by whom and how; ``spoken`` are the languages of a translation's texts.

    Each is from which to which, and what was found where the source was left open.
    """

    id: str
    model: str
    notes: tuple[str, ...]
    spoken: tuple[tuple[Pair | None, Detected | None], ...]
    payload: Payload
    cached: bool = False

    @property
    def detected(self) -> list[str]:
        """The languages found, by text; empty where they were said."""
        return [found.language for _, found in self.spoken if found is not None]


def autocomplete(message: pb.AutocompleteRequest) -> Autocomplete:
    """Decode; ``ServeError`` for a stop rule that this server does not know."""
    rule = STOP_RULE.get(message.stop_rule)
    if rule is None:
        raise invalid(f"{message.stop_rule} is not a stop rule known here", "stop_rule")
    return Autocomplete(
        prefix=message.prefix,
        suffix=message.suffix,
        language=message.language,
        path=message.path,
        context=tuple(ContextFile(file.path, file.text) for file in message.context),
        stop_rule=rule,
        session=message.session,
        sampling=_sampling(message),
    )


def priority(value: int) -> Priority | None:
    """Decode; None where it is not said, ``ServeError`` for a class that this server knows not."""
    if value not in PRIORITY:
        raise invalid(f"{value} is not a priority known here", "priority")
    return PRIORITY[value]


def chat(message: pb.ChatRequest) -> Chat:
    """Decode."""
    return Chat(
        messages=tuple(Message(one.role, one.content) for one in message.messages),
        sampling=msgspec.structs.replace(_sampling(message), json_schema=message.json_schema),
    )


def translate(message: pb.TranslateRequest) -> Translate:
    """Decode."""
    form = FORMAT.get(message.format)
    if form is None:
        raise invalid(f"{message.format} is not a format known here", "format")
    return Translate(
        texts=tuple(message.text),
        source=message.source,
        target=message.target,
        format=form,
        glossary=tuple((term.source, term.target) for term in message.glossary),
    )


def summarize(message: pb.SummarizeRequest) -> Summarize:
    """Decode; ``ServeError`` for a length that this server does not know."""
    length = LENGTH.get(message.length)
    if length is None:
        raise invalid(f"{message.length} is not a length known here", "length")
    return Summarize(text=message.text, length=length, sampling=Sampling(**_set(message)))


def constraints(message: pb.Constraints) -> Constraints:
    """Decode; ``ServeError`` for a cost that is no number."""
    return Constraints(
        max_cost_pico=pico(message.max_cost, "constraints.max_cost") if message.max_cost else None,
        max_latency_s=message.max_latency_ms / 1000 if message.max_latency_ms else None,
        labels=dict(message.labels),
    )


def _sampling(message: pb.AutocompleteRequest | pb.ChatRequest) -> Sampling:
    return Sampling(
        top_k=message.top_k,
        stop=tuple(message.stop),
        presence_penalty=message.presence_penalty,
        frequency_penalty=message.frequency_penalty,
        **_set(message),
    )


def _set(message: Any) -> dict[str, Any]:
    """Return the sampling fields that are set."""
    names = _optional(message.DESCRIPTOR)
    return {name: getattr(message, name) for name in names if message.HasField(name)}


@cache
def _optional(kind: Descriptor) -> tuple[str, ...]:
    """Return the sampling fields that a kind of message may leave out."""
    return tuple(name for name in _OPTIONAL if name in kind.fields_by_name)


def autocomplete_response(served: Served, answer: Answer) -> pb.AutocompleteResponse:
    """Encode a whole answer."""
    choices = (
        pb.AutocompleteChoice(
            index=index, text=output.text, finish_reason=FINISH_REASON[output.reason]
        )
        for index, output in enumerate(answer.outputs)
    )
    return pb.AutocompleteResponse(
        id=served.id,
        model=served.model,
        choices=choices,
        usage=usage(answer.usage),
        notes=served.notes,
        cached=served.cached,
    )


def chat_response(served: Served, answer: Answer) -> pb.ChatResponse:
    """Encode a whole answer."""
    choices = (
        pb.ChatChoice(
            index=index,
            message=pb.ChatMessage(role="assistant", content=output.text),
            finish_reason=FINISH_REASON[output.reason],
        )
        for index, output in enumerate(answer.outputs)
    )
    return pb.ChatResponse(
        id=served.id,
        model=served.model,
        choices=choices,
        usage=usage(answer.usage),
        notes=served.notes,
    )


def translate_response(served: Served, answer: Answer) -> pb.TranslateResponse:
    """Encode a whole answer."""
    pairs = ((one.source, one.target) if one else ("", "") for one, _ in served.spoken)
    return pb.TranslateResponse(
        id=served.id,
        model=served.model,
        translations=(
            pb.Translation(text=output.text, source=source, target=target)
            for output, (source, target) in zip(answer.outputs, pairs, strict=True)
        ),
        usage=usage(answer.usage),
        notes=served.notes,
        detected_source=next(iter(served.detected), ""),
    )


def summarize_response(served: Served, answer: Answer) -> pb.SummarizeResponse:
    """Encode a whole answer."""
    (output,) = answer.outputs
    return pb.SummarizeResponse(
        id=served.id,
        model=served.model,
        text=output.text,
        finish_reason=FINISH_REASON[output.reason],
        usage=usage(answer.usage),
        notes=served.notes,
    )


def start(served: Served) -> pb.StreamEvent:
    """Encode the first message of a stream."""
    pair = served.spoken[0][0] if served.spoken else None
    found = served.detected
    return pb.StreamEvent(
        start=pb.Start(
            id=served.id,
            model=served.model,
            notes=served.notes,
            pair=_pair(pair) if pair else None,
            cached=served.cached,
            detected_source=next(iter(found), ""),
            detected_sources=found if len(set(found)) > 1 else (),
        )
    )


def event(of: Event) -> pb.StreamEvent:
    """Encode one event; runs once per token."""
    if type(of) is Delta:
        return pb.StreamEvent(delta=pb.Delta(index=of.index, text=of.text, token_count=of.tokens))
    if type(of) is Finish:
        return pb.StreamEvent(finish=pb.Finish(index=of.index, reason=FINISH_REASON[of.reason]))
    if type(of) is Segment:
        return pb.StreamEvent(segment=segment(of))
    return pb.StreamEvent(usage=usage(of))  # type: ignore[arg-type]  # the one kind left


def segment(of: Segment) -> pb.Segment:
    """Encode what was said in a part of the audio."""
    return pb.Segment(
        start_seconds=of.start_s, end_seconds=of.end_s, text=of.text, language=of.language
    )


def model(candidate: Candidate, state: State, info: ModelInfo | None, *, failing: bool) -> pb.Model:
    """Encode a configured model; ``info`` is None until it was loaded once."""
    return pb.Model(
        name=candidate.name,
        tasks=sorted(TASK[task] for task in candidate.tasks),
        pairs=map(_pair, candidate.pairs),
        state=MODEL_STATE[state],
        context_tokens=info.context_tokens if info else 0,
        fim=info.fim if info else False,
        notes=info.notes if info else (),
        failing=failing,
    )


def explanation(plan: Plan) -> pb.ExplainRouteResponse:
    """Encode a plan."""
    return pb.ExplainRouteResponse(
        model=plan.model if plan.routes else "",
        pair=_pair(plan.pair) if plan.routes and plan.pair else None,
        verdicts=map(_verdict, plan.verdicts),
        reason=plan.reason.value,
        routes=(
            pb.Route(
                legs=(
                    pb.Leg(model=leg.model, pair=_pair(leg.pair) if leg.pair else None)
                    for leg in route.legs
                ),
                expected=_expected(route.expected),
            )
            for route in plan.routes
        ),
        detected_source=plan.detected.language if plan.detected else "",
        refusal=plan.refusal.message if plan.refusal else "",
    )


def _verdict(of: Verdict) -> pb.Verdict:
    return pb.Verdict(
        model=of.model,
        kept=of.kept,
        reason=of.reason,
        up=of.live.up,
        ejected=of.live.ejected,
        in_flight=of.live.in_flight if of.open else None,
        waiting=of.live.waiting if of.open else None,
        measured=of.live.measured if of.open else None,
        expected=_expected(of.expected),
    )


def _expected(of: Estimate | None) -> pb.Expected | None:
    if of is None:
        return None
    return pb.Expected(
        cost_pico=of.pico, device_seconds=of.device_s, latency_ms=of.latency_s * 1000
    )


def _pair(pair: Pair) -> pb.LanguagePair:
    return pb.LanguagePair(source=pair.source, target=pair.target)


def usage(of: Usage) -> pb.Usage:
    """Encode what a request took."""
    return pb.Usage(
        input_tokens=of.input_tokens,
        output_tokens=of.output_tokens,
        cached_tokens=of.cached_tokens,
        input_characters=of.input_characters,
        audio_seconds=of.audio_seconds,
        cost=_cost(of.cost) if of.cost else None,
    )


def _cost(cost: Cost) -> pb.Cost:
    return pb.Cost(
        cost_pico=cost.pico,
        currency=cost.currency,
        device_seconds=cost.device_seconds,
        energy_joules=cost.energy_joules,
        counterfactual=cost.counterfactual,
    )
