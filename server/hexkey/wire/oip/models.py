"""What each task looks like to the protocol: its tensors, and how they become what core knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec

from hexkey.engines.supervisor import State
from hexkey.errors import Code, ServeError, invalid
from hexkey.routing import shorten
from hexkey.types import (
    Autocomplete,
    Chat,
    Classify,
    Embed,
    Length,
    Message,
    Rerank,
    Sampling,
    StopRule,
    Summarize,
    Task,
    Transcribe,
    Translate,
    Vector,
)
from hexkey.wire.oip.tensors import BYTES, FP32, numbers, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hexkey.routing import Candidate
    from hexkey.service import Service
    from hexkey.types import Caller, Payload, Scores
    from hexkey.wire.answer import Answer
    from hexkey.wire.oip.tensors import Tensor

VERSION = "1"
PLATFORM = "hexkey"
EXTENSIONS = ("binary_tensor_data", "parameters")
TEXT_IN, TEXT_OUT = "text_input", "text_output"
ANY = -1


@dataclass(frozen=True, slots=True)
class Spec:
    """A tensor's name, type and shape; ``ANY`` stands for any number."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False


class Parameters(msgspec.Struct, kw_only=True):
    """What a request may say beside its tensors; each task heeds its own."""

    task: Task | None = None
    source: str = ""
    target: str = ""
    language: str = ""
    length: Length = Length.MEDIUM
    stop_rule: StopRule = StopRule.NONE
    stop: str = ""
    dimensions: int = 0
    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None

    def sampling(self) -> Sampling:
        """Return how tokens are chosen."""
        return Sampling(
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
            stop=(self.stop,) if self.stop else (),
        )


_ONE_TEXT = (Spec(TEXT_IN, BYTES, (1,)),)
_TEXTS = (Spec(TEXT_IN, BYTES, (ANY,)),)
_SAID = (Spec(TEXT_OUT, BYTES, (ANY,)),)
SPECS: dict[Task, tuple[tuple[Spec, ...], tuple[Spec, ...]]] = {
    Task.AUTOCOMPLETE: (_ONE_TEXT, _SAID),
    Task.CHAT: (_ONE_TEXT, _SAID),
    Task.SUMMARIZE: (_ONE_TEXT, _SAID),
    Task.TRANSLATE: (_TEXTS, _SAID),
    Task.TRANSCRIBE: ((Spec("audio", BYTES, (1,)),), _SAID),
    Task.EMBED: (_TEXTS, (Spec("embeddings", FP32, (ANY, ANY)),)),
    Task.RERANK: (
        (Spec("query", BYTES, (1,)), Spec("documents", BYTES, (ANY,))),
        (Spec("scores", FP32, (ANY, 1)),),
    ),
    Task.CLASSIFY: (
        (*_TEXTS, Spec("labels", BYTES, (ANY,), optional=True)),
        (Spec("scores", FP32, (ANY, ANY)),),
    ),
}
"""Inputs and outputs. A model that does several tasks is described by the first of them."""


def task_of(name: str, catalog: Sequence[Candidate], asked: Task | None = None) -> Task:
    """Return what a model, or a task's name, is asked to do; ``ServeError`` for an unknown name."""
    if name in set(Task):
        return Task(name)
    for candidate in catalog:
        if candidate.name == name:
            return asked or next(task for task in Task if task in candidate.tasks)
    names = ", ".join(candidate.name for candidate in catalog) or "none"
    raise ServeError(
        Code.NOT_FOUND,
        f"there is no model {shorten(name)!r}; there is: {names}",
        param="model",
        reason="MODEL_NOT_FOUND",
    )


def ready(name: str, caller: Caller, service: Service) -> bool:
    """Tell whether a model serves, or any of a task; ``ServeError`` for an unknown name."""
    catalog = service.catalog(caller)
    task = task_of(name, catalog)
    states = service.pool.states()
    return any(
        states[one.name] is State.READY
        for one in catalog
        if one.name == name or (name == task and task in one.tasks)
    )


def parameters_of(given: Mapping[str, Any]) -> Parameters:
    """Return parameters; unknown ones are ignored, ``ServeError`` for one of the wrong type."""
    try:
        return msgspec.convert(dict(given), Parameters, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(f"parameters: {error}", "parameters") from None


def payload_of(task: Task, tensors: Mapping[str, Tensor], asked: Parameters) -> Payload:
    """Return what core is asked for; ``ServeError`` for an input that lacks or is no text."""
    inputs = {spec.name: _elements(spec, tensors) for spec in SPECS[task][0]}
    if task is Task.TRANSCRIBE:
        return Transcribe(audio=inputs["audio"][0], language=asked.language)
    said = {name: tuple(_text(name, one) for one in values) for name, values in inputs.items()}
    return _PAYLOADS[task](said, asked)


_Said = dict[str, tuple[str, ...]]
_PAYLOADS: dict[Task, Callable[[_Said, Parameters], Payload]] = {
    Task.AUTOCOMPLETE: lambda said, asked: Autocomplete(
        prefix=said[TEXT_IN][0],
        language=asked.language,
        stop_rule=asked.stop_rule,
        sampling=asked.sampling(),
    ),
    Task.CHAT: lambda said, asked: Chat(
        messages=(Message("user", said[TEXT_IN][0]),), sampling=asked.sampling()
    ),
    Task.SUMMARIZE: lambda said, asked: Summarize(
        text=said[TEXT_IN][0], length=asked.length, sampling=asked.sampling()
    ),
    Task.TRANSLATE: lambda said, asked: Translate(
        texts=said[TEXT_IN], source=asked.source, target=asked.target
    ),
    Task.EMBED: lambda said, asked: Embed(texts=said[TEXT_IN], dimensions=asked.dimensions),
    Task.RERANK: lambda said, _asked: Rerank(query=said["query"][0], documents=said["documents"]),
    Task.CLASSIFY: lambda said, _asked: Classify(texts=said[TEXT_IN], labels=said["labels"]),
}


def tensors_of(task: Task, answer: Answer) -> list[Tensor]:
    """Return an answer's tensors, in the order of the task's outputs."""
    (spec,) = SPECS[task][1]
    if task is Task.EMBED:
        return [numbers(spec.name, [one.values for one in cast("list[Vector]", answer.found)])]
    if spec.datatype == FP32:
        return [numbers(spec.name, [one.values for one in cast("list[Scores]", answer.found)])]
    return [texts(spec.name, [output.text for output in answer.outputs])]


def _elements(spec: Spec, tensors: Mapping[str, Tensor]) -> Sequence[bytes]:
    found = tensors.get(spec.name)
    if found is None and spec.optional:
        return ()
    if found is None:
        raise invalid(f"the input {spec.name!r} is missing", spec.name)
    if spec.shape == (1,) and len(found.data) != 1:
        raise invalid(f"the input {spec.name!r} has {len(found.data)} elements, not one", spec.name)
    return cast("Sequence[bytes]", found.data)


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise invalid(f"the input {name!r} is not UTF-8", name) from None
