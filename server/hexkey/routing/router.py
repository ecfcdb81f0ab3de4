"""The decision itself: every model judged, every way found, the ways put in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby, islice
from typing import TYPE_CHECKING

from msgspec.structs import replace

from hexkey.errors import Code, ServeError, invalid
from hexkey.routing.constraints import too_late_s, too_much, unlabelled
from hexkey.routing.coverage import CATALOGS, directions, pivots
from hexkey.routing.languages import AUTO, normal
from hexkey.routing.live import UNKNOWN, Live, estimate
from hexkey.routing.plan import Leg, Plan, Reason, Route, Verdict
from hexkey.routing.policies import Policy, PolicyName, arrange
from hexkey.routing.ways import ways
from hexkey.types import Request, Task, Translate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hexkey.routing.candidates import Candidate
    from hexkey.routing.live import Estimate

_BY_TASK = frozenset({"", AUTO, *Task})
_FIRST = Policy()
MAX_LISTED = 100
"""Most pairs that an error message lists."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decided: a policy per task, and whether a third language may help."""

    policies: Mapping[Task, Policy] = field(default_factory=dict, hash=False)
    pivot: bool = True


DEFAULT = Rules()
Reader = Callable[[str], Live]
"""Tells what is known of a model now."""


def _unknown(_model: str) -> Live:
    return UNKNOWN


def route(
    request: Request,
    catalog: Sequence[Candidate],
    live: Reader = _unknown,
    rules: Rules = DEFAULT,
) -> Plan:
    """Return how a request is to be served; ``ServeError`` says why it cannot be, and what can.

    The plan is that of ``decide``, without verdicts.
    """
    plan = _Decision(request, catalog, live, rules).plan()
    if plan.refusal is not None:
        raise plan.refusal
    return plan


def decide(
    request: Request,
    catalog: Sequence[Candidate],
    live: Reader = _unknown,
    rules: Rules = DEFAULT,
) -> Plan:
    """Return how a request is to be served, or a plan without routes that says why it cannot be.

    A model name that is a task's name, or ``auto``, or empty, leaves the choice to the task. Of
    several routes those go first that serve now, then those of fewer legs, then those whose
    languages are closer to what was asked; among equals the task's policy decides.
    """
    decision = _Decision(request, catalog, live, rules)
    plan = decision.plan()
    return replace(plan, verdicts=decision.verdicts(plan.routes))


class _Decision:
    """One request and what was found out about each model; lives as long as the decision."""

    def __init__(
        self,
        request: Request,
        catalog: Sequence[Candidate],
        live: Reader,
        rules: Rules,
    ) -> None:
        self._request = request
        self._catalog = catalog
        self._live = live
        self._rules = rules
        self._named = "" if request.model in _BY_TASK else request.model
        self._policy = rules.policies.get(request.task, _FIRST)
        self._why: dict[str, str] = {}

    def plan(self) -> Plan:
        able = [model for model in self._catalog if self._able(model)]
        ways = self._ways(able)
        routes = self._affordable(ways)
        if not routes:
            refusal = self._refusal(able, ways)
            return Plan((), Reason.ONLY, refusal=refusal)
        ordered, reason = self._ordered(routes)
        return Plan(tuple(ordered), reason)

    def _able(self, model: Candidate) -> bool:
        """Return whether a model may serve, as far as that hangs on the model alone."""
        why = ""
        if self._named and model.name != self._named:
            why = f"the request names {shorten(self._named)}"
        elif self._request.task not in model.tasks:
            why = f"does not do {self._request.task}"
        elif not self._named and self._pinned and model.name != self._policy.model:
            why = f"{self._request.task} is pinned to {self._policy.model}"
        else:
            why = unlabelled(model, self._request.constraints)
        if why:
            self._why[model.name] = why
        return not why

    @property
    def _pinned(self) -> bool:
        return self._policy.name is PolicyName.PINNED

    def _ways(self, able: Sequence[Candidate]) -> list[Route]:
        """Return every way over the models that may serve, with what it is expected to take."""
        payload = self._request.payload
        if isinstance(payload, Translate):
            source, target = normal(payload.source), normal(payload.target)
            found = ways(tuple(able), source, target, pivot=self._rules.pivot)
        else:
            found = tuple(Route((Leg(model.name),)) for model in able)
        return [replace(one, expected=self._expected(one)) for one in found]

    def _affordable(self, ways: Sequence[Route]) -> list[Route]:
        kept = []
        for way in ways:
            why = too_much(way, self._request.constraints)
            if not why:
                kept.append(way)
                continue
            for leg in way.legs:
                self._why.setdefault(leg.model, why)
        return kept

    def _ordered(self, routes: Sequence[Route]) -> tuple[Sequence[Route], Reason]:
        ordered, reason = (routes, Reason.ONLY) if len(routes) == 1 else self._arranged(routes)
        if self._named:
            reason = Reason.NAMED
        elif self._pinned:
            reason = Reason.PINNED
        return ordered, reason

    def _arranged(self, routes: Sequence[Route]) -> tuple[list[Route], Reason]:
        def tier(one: Route) -> tuple[bool, int, int]:
            serving = all(self._live(leg.model).serving for leg in one.legs)
            return not serving, len(one.legs), one.distance

        ordered: list[Route] = []
        reason = Reason.ONLY
        for _, equals in groupby(sorted(routes, key=tier), key=tier):
            group, why = arrange(list(equals), self._policy, self._live, self._request.id)
            if not ordered and sum(len(one.legs) == len(group[0].legs) for one in routes) > 1:
                reason = why if len(group) > 1 else Reason.CLOSEST
            ordered += group
        return ordered, reason

    def verdicts(self, routes: Sequence[Route]) -> tuple[Verdict, ...]:
        serves: dict[str, str] = {}
        for one in routes:
            for leg in one.legs:
                through = f"serves {one}" if len(one.legs) > 1 else "can serve this"
                serves.setdefault(leg.model, through)
        verdicts = []
        for model in self._catalog:
            kept = model.name in serves
            live = self._live(model.name)
            reason = serves[model.name] if kept else self._dropped(model.name)
            if kept and not live.up:
                reason += "; it is down now, so others go first"
            elif kept and live.ejected:
                reason += "; it failed lately, so others go first"
            expected = estimate(live, self._request.payload)
            verdicts.append(Verdict(model.name, kept, reason, live, expected))
        return tuple(verdicts)

    def _dropped(self, model: str) -> str:
        payload = self._request.payload
        asked = f"{_asked(payload)}" if isinstance(payload, Translate) else self._request.task
        return self._why.get(model) or f"does not translate {asked}"

    def _expected(self, way: Route) -> Estimate | None:
        total: Estimate | None = None
        for leg in way.legs:
            one = estimate(self._live(leg.model), self._request.payload)
            if one is None:
                return None
            total = total + one if total else one
        return total

    def _refusal(self, able: Sequence[Candidate], ways: Sequence[Route]) -> ServeError:
        request, catalog, named = self._request, self._catalog, self._named
        if named and named not in {model.name for model in catalog}:
            names = ", ".join(model.name for model in catalog) or "none"
            return ServeError(
                Code.NOT_FOUND,
                f"there is no model {shorten(named)!r}; there is: {names}",
                param="model",
                reason="MODEL_NOT_FOUND",
            )
        doing = [model for model in catalog if request.task in model.tasks]
        if named and named not in {model.name for model in doing}:
            tasks = next(sorted(model.tasks) for model in catalog if model.name == named)
            return invalid(
                f"model {named!r} does not do {request.task}; it does: {', '.join(tasks)}", "model"
            )
        if not doing:
            served = ", ".join(sorted({task for model in catalog for task in model.tasks}))
            return ServeError(
                Code.NOT_FOUND,
                f"no model does {request.task}; the tasks served are: {served}",
                reason="TASK_NOT_FOUND",
            )
        if not able or ways:
            whys = "; ".join(
                f"{name}: {self._why[name]}" for name in self._why if not named or name == named
            )
            late_s = [late for way in ways if (late := too_late_s(way, request.constraints))]
            if late_s:
                return ServeError(
                    Code.UNAVAILABLE,
                    f"no model is free soon enough to meet the constraints ({shorten(whys, 600)})",
                    reason="OVERLOADED",
                    retry_after_s=min(late_s),
                )
            return ServeError(
                Code.NOT_FOUND,
                f"no model meets the constraints ({shorten(whys, 600)})",
                param="constraints",
                reason="CONSTRAINTS_NOT_MET",
            )
        return _no_pair(request.payload, able, pivot=self._rules.pivot)


def shorten(text: str, limit: int = 80) -> str:
    """Return what a caller sent in a length fit for an error message."""
    return text if len(text) <= limit else text[:limit] + "…"


def _asked(payload: Translate) -> str:
    return shorten(f"{payload.source or AUTO}-{payload.target}")


def _no_pair(payload: object, able: Sequence[Candidate], *, pivot: bool) -> ServeError:
    if not isinstance(payload, Translate):
        raise TypeError("only translations have pairs")
    return ServeError(
        Code.NOT_FOUND,
        f"no model translates {_asked(payload)!r}; the pairs there are: "
        + _listed(tuple(able), pivot=pivot),
        param="target",
        reason="PAIR_NOT_FOUND",
    )


@lru_cache(CATALOGS)
def _listed(able: tuple[Candidate, ...], *, pivot: bool) -> str:
    """Return the first pairs there are; a model of 200 languages has 40,000."""
    have = sorted(map(str, islice(directions(able), MAX_LISTED + 1)))
    if pivot and len(have) <= MAX_LISTED:
        have += map(str, pivots(able))
    return ", ".join(have[:MAX_LISTED]) + (" and more" if len(have) > MAX_LISTED else "")
