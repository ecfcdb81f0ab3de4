"""Which model serves a request, and why: a pure decision over what is configured.

Nothing here looks at a clock, writes a log or touches a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hexkey.errors import Code, ServeError, invalid
from hexkey.types import Request, Task, Translate

if TYPE_CHECKING:
    from collections.abc import Sequence

AUTO = "auto"
_BY_TASK = frozenset({"", AUTO, *Task})


@dataclass(frozen=True, slots=True)
class Pair:
    """A direction of translation; language codes are lower-case BCP 47 (``en``, ``pt``)."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}-{self.target}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model as the router sees it."""

    name: str
    tasks: frozenset[Task]
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a model was kept or dropped."""

    model: str
    kept: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The model that serves, the pair it serves where it translates, and every verdict."""

    model: str
    pair: Pair | None
    verdicts: tuple[Verdict, ...]


def route(request: Request, catalog: Sequence[Candidate]) -> Plan:
    """Choose the model for a request; ``ServeError`` NOT_FOUND lists what there is instead.

    A model name that is a task's name, or ``auto``, or empty, leaves the choice to the task. The
    first configured model that can do it serves.
    """
    named = "" if request.model in _BY_TASK else request.model
    if named and named not in {candidate.name for candidate in catalog}:
        raise ServeError(
            Code.NOT_FOUND,
            f"there is no model {shorten(named)!r}; there is: {_names(catalog)}",
            param="model",
            reason="MODEL_NOT_FOUND",
        )
    verdicts: list[Verdict] = []
    chosen: tuple[str, Pair | None] | None = None
    for candidate in catalog:
        pair, why = _judge(request, candidate, named)
        verdicts.append(Verdict(candidate.name, kept=not why, reason=why or "can serve this"))
        if not why and chosen is None:
            chosen = (candidate.name, pair)
    if chosen is None:
        raise _nothing(request, catalog, named)
    return Plan(*chosen, tuple(verdicts))


def _judge(request: Request, candidate: Candidate, named: str) -> tuple[Pair | None, str]:
    """Return the pair to serve and an empty reason, or no pair and why not."""
    if named and candidate.name != named:
        return None, f"the request names {named}"
    if request.task not in candidate.tasks:
        return None, f"does not do {request.task}"
    if not isinstance(request.payload, Translate):
        return None, ""
    wanted = request.payload
    for pair in candidate.pairs:
        if language(wanted.target) == pair.target and language(wanted.source) in {"", pair.source}:
            return pair, ""
    return None, f"does not translate {wanted.source or AUTO}-{wanted.target}"


def language(code: str) -> str:
    """Return the primary language of a code as clients write it: ``PT-BR`` is ``pt``.

    ``auto`` and the empty string both mean that the server decides.
    """
    primary = code.replace("_", "-").split("-")[0].lower()
    return "" if primary == AUTO else primary


def pairs(catalog: Sequence[Candidate]) -> list[Pair]:
    """Return every direction that is served, sorted."""
    return sorted({pair for model in catalog for pair in model.pairs}, key=str)


def shorten(text: str, limit: int = 80) -> str:
    """Return what a caller sent in a length fit for an error message."""
    return text if len(text) <= limit else text[:limit] + "…"


def _names(catalog: Sequence[Candidate]) -> str:
    return ", ".join(candidate.name for candidate in catalog) or "none"


def _nothing(request: Request, catalog: Sequence[Candidate], named: str) -> ServeError:
    able = [candidate for candidate in catalog if request.task in candidate.tasks]
    if named and named not in {candidate.name for candidate in able}:
        tasks = next(sorted(model.tasks) for model in catalog if model.name == named)
        return invalid(
            f"model {named!r} does not do {request.task}; it does: {', '.join(tasks)}", "model"
        )
    if isinstance(request.payload, Translate) and able:
        within = [candidate for candidate in able if not named or candidate.name == named]
        have = ", ".join(str(pair) for pair in pairs(within))
        wanted = f"{request.payload.source or AUTO}-{request.payload.target}"
        return ServeError(
            Code.NOT_FOUND,
            f"no model translates {shorten(wanted)!r}; the pairs there are: {have}",
            param="target",
            reason="PAIR_NOT_FOUND",
        )
    tasks_served = ", ".join(sorted({task for model in catalog for task in model.tasks}))
    return ServeError(
        Code.NOT_FOUND,
        f"no model does {request.task}; the tasks served are: {tasks_served}",
        reason="TASK_NOT_FOUND",
    )
