"""What one setting must be for the sake of another; each check gives lines of ``path: what to do``.

A check that comes to a setting that is wrong itself ends there: what it would find could change
once that is mended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexkey.config.costs import CHECKS as COSTS
from hexkey.engines import factory
from hexkey.models.sources import FirefoxSource, parse
from hexkey.routing import PolicyName
from hexkey.schema import Reader, if_known
from hexkey.types import Task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hexkey.config.sections import AdapterConfig, Config, ModelConfig, PolicyConfig


def check(config: Config, *, options: bool = False) -> list[str]:
    """Return what is wrong with settings that are right by themselves.

    With ``options`` those of engines are read, too: not at the start of a server, which must load
    no engine's libraries. Hosts read them again.
    """
    checks = (*_OF_A_MODEL, _wrong_options) if options else _OF_A_MODEL
    errors: list[str] = []
    for index, model in enumerate(getattr(config, "models", ())):
        found = [line for one in checks for line in if_known(one(model))]
        errors += [f"models[{index}].{line}" for line in found]
    for one in (_taken, *COSTS, _wrong_policies, _same_tenants):
        errors += if_known(one(config))
    return errors


def _able(model: ModelConfig) -> Iterator[str]:
    can = factory.TASKS[model.engine]
    for task in sorted(set(model.tasks) - can):
        able = ", ".join(sorted(can))
        yield f"tasks: the engine {model.engine} does not {task}; it does: {able}"


def _sourced(model: ModelConfig) -> Iterator[str]:
    if not model.source and model.engine != "fake":
        yield "source: is missing; for example package:NAME==VERSION/path or path:/dir"


def _paired(model: ModelConfig) -> Iterator[str]:
    given = model.pairs or model.languages
    if (Task.TRANSLATE in model.tasks) == bool(given):
        return
    if given:
        yield "pairs: only a model with the task translate has pairs"
    else:
        yield "pairs: is missing; a model that translates names its pairs, such as [en-pt]"


def _turned(model: ModelConfig) -> Iterator[str]:
    source = parse(model.source) if model.source else None
    if not isinstance(source, FirefoxSource):
        return
    here, there = source.source, source.target
    if here == there:
        return
    for index, pair in enumerate(model.parsed_pairs()):
        if (pair.source.partition("-")[0], pair.target.partition("-")[0]) == (there, here):
            yield f"pairs[{index}]: {source} translates the other way, {here}-{there}"


def _adapted(model: ModelConfig) -> Iterator[str]:
    for index, adapter in enumerate(model.adapters):
        found = [*if_known(_adaptable(model)), *if_known(_of_its_base(adapter, model))]
        yield from (f"adapters[{index}].{line}" for line in found)


def _adaptable(model: ModelConfig) -> Iterator[str]:
    if model.engine not in factory.ADAPTERS:
        able = ", ".join(sorted(factory.ADAPTERS))
        yield f"name: the engine {model.engine} takes no adapters; those that do: {able}"


def _of_its_base(adapter: AdapterConfig, model: ModelConfig) -> Iterator[str]:
    for task in adapter.tasks:
        if task not in model.tasks:
            yield f"tasks: {task} is not among those of its base, {model.name}"


def _wrong_options(model: ModelConfig) -> Iterator[str]:
    reader = Reader()
    kind = factory.options_of(model.engine, model.tasks)
    options = reader.read_known(kind, model.options, "options")
    found = if_known(options.wrong()) if hasattr(options, "wrong") else []
    yield from (*reader.errors, *(f"options.{line}" for line in found))


_OF_A_MODEL = (_able, _sourced, _paired, _turned, _adapted)


def _taken(config: Config) -> Iterator[str]:
    names = set()
    for path, one in _named(config):
        name = getattr(one, "name", None)
        if name in names:
            yield f"{path}.name: {name!r} is taken by an earlier model"
        if name is not None:
            names.add(name)


def _named(config: Config) -> Iterator[tuple[str, ModelConfig | AdapterConfig]]:
    for index, model in enumerate(config.models):
        path = f"models[{index}]"
        yield path, model
        for number, adapter in enumerate(getattr(model, "adapters", ())):
            yield f"{path}.adapters[{number}]", adapter


def _wrong_policies(config: Config) -> Iterator[str]:
    for task, policy in config.routing.policies.items():
        found = if_known(_check_policy(policy, _doing(config, task)))
        yield from (f"routing.policies.{task}.{line}" for line in found)


def _doing(config: Config, task: str) -> Iterator[str]:
    """Yield the names of those that do a task, adapters too."""
    for model in config.models:
        if task in model.tasks:
            yield model.name
        for adapter in model.adapters:
            if task in (adapter.tasks or model.tasks):
                yield adapter.name


def _check_policy(policy: PolicyConfig, able: Iterator[str]) -> Iterator[str]:
    weighted, pinned = policy.policy is PolicyName.WEIGHTED, policy.policy is PolicyName.PINNED
    if policy.weights and not weighted:
        yield "weights: only the policy weighted has weights"
    if policy.model and not pinned:
        yield "model: only the policy pinned names a model"
    models = [*able]
    doing = f"the models that do this are: {', '.join(models) or 'none'}"
    if pinned and policy.model not in models:
        yield f"model: name the model to pin; {doing}"
    if not weighted:
        return
    for name in policy.weights:
        if name not in models:
            yield f"weights.{name}: is no model for this task; {doing}"
    if not any(policy.weights.values()):
        yield f"weights: name at least one model with a weight above 0; {doing}"


def _same_tenants(config: Config) -> Iterator[str]:
    names = [getattr(one, "name", None) for one in config.access.tenants]
    for index, name in enumerate(names):
        if name is not None and names.index(name) < index:
            yield f"access.tenants[{index}].name: {name!r} is taken by an earlier tenant"
