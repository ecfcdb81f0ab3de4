"""What a configuration covers, in words: each task and language pair, and what serves it."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

from hexkey import routing
from hexkey.payloads import Task, Translate
from hexkey.routing import ANY, Pair, PolicyName
from hexkey.types import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hexkey.config import Config, TenantConfig
    from hexkey.routing import Candidate, Plan, Policy

MAX_PIVOTS = 20
"""Most pairs through a third language that are listed; all are served."""
MAX_PAIRS = 500
"""Most pairs that are looked at; a model of 200 languages has 40,000."""
SOME = "fr"
"""Stands for any language where a model translates from, or to, any."""


def covered(config: Config) -> list[str]:
    """Return a line for each task that is served: by which models, in which order."""
    rules = config.routing.rules()
    lines = []
    for task in Task:
        if not any(task in model.tasks for model in config.models):
            continue
        how = _how(rules.policies.get(task))
        if task is not Task.TRANSLATE:
            lines.append(f"  {task:<13} {how}{_models(config, task)}")
            continue
        first, *rest = [*_straight(config), *_through(config)] or ["nothing"]
        lines.append(f"  {task:<13} {how}{first}")
        lines += [f"  {'':<13} {one}" for one in rest]
    return lines


def idle(config: Config) -> list[str]:
    """Return a line for each setting that can have no effect."""
    return [*_unpriced(config), *_cold(config)]


def _unpriced(config: Config) -> list[str]:
    """Return a line for each setting that has none as this machine costs nothing."""
    if Decimal(config.cost.price_per_hour) or config.cost.owned is not None:
        return []
    spent = [one for one in config.access.tenants if _has_budget(one)]
    lines = [f"the budget of {one.name} never ends" for one in spent]
    lines += [
        f"{task} by what is cheapest takes the first"
        for task, one in config.routing.policies.items()
        if one.policy is PolicyName.CHEAPEST
    ]
    return [f"{line}: give cost.price_per_hour or cost.owned" for line in lines]


def _cold(config: Config) -> Iterator[str]:
    """Yield a line for each model that is not reached, since others are there and go first."""
    for task in Task:
        policy = config.routing.policies.get(task)
        if (policy is not None and policy.policy is PolicyName.PINNED) or task is Task.TRANSLATE:
            continue
        doing = [model for model in config.models if task in model.tasks]
        there = [model.name for model in doing if model.load == "start"]
        for model in doing:
            if there and model.load != "start":
                yield (
                    f"{task} finds {model.name} only where a request names it or the others are "
                    f"down, as it is not in memory and {there[0]} is: give it load: start"
                )


def _has_budget(tenant: TenantConfig) -> bool:
    return any(map(Decimal, (tenant.budget_per_day, tenant.budget_per_month)))


def uncovered(config: Config) -> list[str]:
    """Return a line for each task and each configured pair that nothing serves."""
    none = [task for task in Task if not any(task in model.tasks for model in config.models)]
    lines = [f"no model does: {', '.join(none)}"] if none else []
    for model in _catalog(config):
        for pair in islice(model.directions(), MAX_PAIRS):
            plan = _plan(config, pair)
            if plan.refusal is not None:
                lines.append(f"nothing serves {pair} of {model.name}: {plan.refusal.message}")
    return lines


def _how(policy: Policy | None) -> str:
    if policy is None or policy.name is PolicyName.FIRST:
        return ""
    shares = ", ".join(f"{name} {weight}" for name, weight in policy.weights.items())
    return f"{policy.name}{f' ({shares})' if shares else ''}: "


def _models(config: Config, task: Task) -> str:
    """Return the models of a task that has no pairs, the first one first."""
    policy = config.routing.policies.get(task)
    if policy is not None and policy.policy is PolicyName.PINNED:
        return policy.model
    return ", then ".join(model.name for model in _catalog(config) if task in model.tasks)


def _straight(config: Config) -> Iterator[str]:
    """Yield ``model (its pairs)``, each pair at the model that gets it first."""
    by_model: dict[str, list[str]] = {}
    catalog = _catalog(config)
    pairs = routing.pairs(catalog)
    for pair in pairs[:MAX_PAIRS]:
        plan = _plan(config, pair)
        if plan.routes:
            by_model.setdefault(plan.model, []).append(str(pair))
    for model in catalog:
        if model.name in by_model:
            yield f"{model.name} ({', '.join(by_model[model.name])})"
    if len(pairs) > MAX_PAIRS:
        yield f"and {len(pairs) - MAX_PAIRS} more pairs"


def _through(config: Config) -> Iterator[str]:
    if not config.routing.pivot:
        return
    pivots = routing.pivots(_catalog(config))
    for pair in pivots[:MAX_PIVOTS]:
        plan = _plan(config, pair)
        if plan.routes:
            yield f"{pair} through {plan.routes[0]}"
    if len(pivots) > MAX_PIVOTS:
        yield f"and {len(pivots) - MAX_PIVOTS} more pairs through a third language"


def _plan(config: Config, pair: Pair) -> Plan:
    source, target = (SOME if code == ANY else code for code in (pair.source, pair.target))
    payload = Translate(texts=("x",), source=source, target=target)
    request = Request(id="coverage", payload=payload, protocol="none")
    return routing.decide(request, _catalog(config), rules=config.routing.rules())


def _catalog(config: Config) -> list[Candidate]:
    """Return the models as the router sees them, adapters behind their base."""
    return [one for model in config.models for one in model.candidates()]
