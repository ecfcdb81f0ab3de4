"""What a section cannot say by its types alone: each check gives lines of ``path: what to do``."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

from hexkey.config.address import split_address
from hexkey.config.bounds import negative, not_decimal, not_positive
from hexkey.config.costs import check_cost, check_placement
from hexkey.engines import factory
from hexkey.engines.frames import MAX_FRAME_BYTES
from hexkey.identity.keys import is_tenant
from hexkey.models.errors import ModelError
from hexkey.models.sources import parse
from hexkey.routing import AUTO, PolicyName, parse_pair
from hexkey.routing.languages import well_formed
from hexkey.types import Task

if TYPE_CHECKING:
    from hexkey.config.sections import (
        AccessConfig,
        AdapterConfig,
        AutocompleteConfig,
        Config,
        ModelConfig,
        PolicyConfig,
        QueueConfig,
        TracesConfig,
    )

MAX_DEBOUNCE_MS = 10_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_HOST = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s]+")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def check(config: Config) -> list[str]:
    """Return all that is wrong with a configuration that has the right shape."""
    errors: list[str] = []
    if not config.models:
        errors.append("models: is empty; name at least one model to serve")
    names: set[str] = set()
    for index, model in enumerate(config.models):
        path = f"models[{index}]"
        errors += [f"{path}.{line}" for line in _check_model(model)]
        if model.name in names:
            errors.append(f"{path}.name: {model.name!r} is taken by an earlier model")
        names.add(model.name)
        for number, adapter in enumerate(model.adapters):
            where = f"{path}.adapters[{number}]"
            errors += [f"{where}.{line}" for line in _check_adapter(adapter, model)]
            if adapter.name in names:
                errors.append(f"{where}.name: {adapter.name!r} is taken by an earlier model")
            names.add(adapter.name)
    for name, address in (("http", config.listen.http), ("grpc", config.listen.grpc)):
        if (address or name == "http") and split_address(address) is None:
            errors.append(f"listen.{name}: expected host:port, found {address!r}")
    errors += [f"cost.{line}" for line in check_cost(config.cost)]
    errors += check_placement(config)
    errors += [f"routing.policies.{line}" for line in _check_routing(config)]
    errors += [f"access.{line}" for line in _check_access(config.access)]
    if config.log.level not in {"debug", "info", "warning", "error"}:
        errors.append("log.level: expected one of debug, info, warning, error")
    errors += [f"autocomplete.{line}" for line in _check_autocomplete(config.autocomplete)]
    bounds = ("max_characters", "max_body_bytes", "stop_grace_s", "cold_start_s")
    errors += [f"limits.{line}" for line in not_positive(config.limits, bounds)]
    errors += [f"limits.{line}" for line in negative(config.limits, ("memory_gib",))]
    if config.limits.max_body_bytes > MAX_FRAME_BYTES:
        errors.append(
            f"limits.max_body_bytes: at most {MAX_FRAME_BYTES}, which is what an engine takes"
        )
    errors += [f"usage.{line}" for line in not_positive(config.usage, ("keep_days", "max_gib"))]
    errors += [f"traces.{line}" for line in _check_traces(config.traces)]
    return errors


def _check_traces(traces: TracesConfig) -> list[str]:
    errors = []
    if not 0 <= traces.sample <= 1:
        errors.append("sample: must be a number from 0 to 1")
    if not traces.endpoint:
        return errors
    if not re.match(r"https?://[^/]", traces.endpoint):
        errors.append(
            f"endpoint: expected a URL such as http://collector:4318, found {traces.endpoint!r}"
        )
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.exporter") is None:
        errors.append("endpoint: needs OpenTelemetry; pip install 'hexkey[traces]'")
    return errors


def _check_access(access: AccessConfig) -> list[str]:
    errors = []
    if access.keys not in {"auto", "on", "off"}:
        errors.append(f"keys: expected auto, on or off, found {access.keys!r}")
    errors += [
        f"origins[{index}]: expected one such as https://app.example.org, found {one!r}"
        for index, one in enumerate(access.origins)
        if not _ORIGIN.fullmatch(one)
    ]
    errors += [
        f"hosts[{index}]: expected a name such as hexkey.example.org, without port; found {one!r}"
        for index, one in enumerate(access.hosts)
        if not _HOST.fullmatch(one)
    ]
    names = [tenant.name for tenant in access.tenants]
    for index, tenant in enumerate(access.tenants):
        path = f"tenants[{index}]"
        if not is_tenant(tenant.name):
            errors.append(f"{path}.name: letters, digits and . _ - only, 64 at most, as of a key")
        if names.index(tenant.name) < index:
            errors.append(f"{path}.name: {tenant.name!r} is taken by an earlier tenant")
        wrong = negative(tenant, ("requests_per_minute", "tokens_per_minute", "concurrent"))
        wrong += not_decimal(tenant, ("budget_per_day", "budget_per_month"))
        wrong += not_positive(tenant, ("weight",))
        errors += [f"{path}.{line}" for line in wrong]
    return errors


def _check_name(name: str) -> list[str]:
    if not _NAME.fullmatch(name):
        return ["name: letters, digits and . _ / - only, 128 at most"]
    if name in {AUTO, *Task}:
        return [f"name: {name!r} is the name of a task; choose another"]
    return []


def _check_source(source: str) -> list[str]:
    try:
        parse(source)
    except ModelError as error:
        return [f"source: {error}"]
    return []


def _check_adapter(adapter: AdapterConfig, model: ModelConfig) -> list[str]:
    errors = [*_check_name(adapter.name), *_check_source(adapter.source)]
    if model.engine not in factory.ADAPTERS:
        able = ", ".join(sorted(factory.ADAPTERS))
        errors.append(f"name: the engine {model.engine} takes no adapters; those that do: {able}")
    odd = sorted(set(adapter.tasks) - set(model.tasks))
    return errors + [f"tasks: {one} is not among those of its base, {model.name}" for one in odd]


def _check_model(model: ModelConfig) -> list[str]:
    errors = _check_name(model.name)
    if model.engine not in factory.NAMES:
        errors.append(f"engine: expected one of {', '.join(factory.NAMES)}, found {model.engine!r}")
    if not model.tasks:
        errors.append(f"tasks: is empty; name at least one of {', '.join(Task)}")
    for task in sorted(set(model.tasks) - factory.TASKS.get(model.engine, frozenset(Task))):
        able = ", ".join(sorted(factory.TASKS[model.engine]))
        errors.append(f"tasks: the engine {model.engine} does not {task}; it does: {able}")
    if not model.source and model.engine != "fake":
        errors.append("source: is missing; for example package:NAME==VERSION/path or path:/dir")
    if model.source:
        errors += _check_source(model.source)
    if model.load not in {"start", "on_request"}:
        errors.append(f"load: expected start or on_request, found {model.load!r}")
    errors += negative(model, ("idle_unload_s", "memory_gib"))
    errors += _check_pairs(model)
    errors += [
        f"labels.{name}: a label and its value are letters, digits and . _ - only, 63 at most"
        for name, value in model.labels.items()
        if not _LABEL.fullmatch(name) or not _LABEL.fullmatch(value)
    ]
    errors += not_positive(model, ("load_timeout_s", "stall_timeout_s"))
    errors += [f"queue.{line}" for line in _check_queue(model.queue)]
    return errors


def _check_autocomplete(section: AutocompleteConfig) -> list[str]:
    names = ("debounce_ms", "adaptive_debounce_ms")
    errors = negative(section, (*names, "cache_entries"))
    errors += [
        f"{name}: must be at most {MAX_DEBOUNCE_MS}"
        for name in names
        if getattr(section, name) > MAX_DEBOUNCE_MS
    ]
    return errors + not_positive(section, ("cache_bytes", "cache_ttl_s"))


def _check_queue(queue: QueueConfig) -> list[str]:
    names = ("concurrency", "max_requests", "max_tokens")
    errors = [f"{name}: must be 0 or more" for name in names if getattr(queue, name) < 0]
    if not 0 <= queue.headroom < 1:
        errors.append("headroom: must be a share from 0 to less than 1")
    return errors


def _check_pairs(model: ModelConfig) -> list[str]:
    errors = []
    for index, pair in enumerate(model.pairs):
        try:
            parse_pair(pair)
        except ValueError as error:
            errors.append(f"pairs[{index}]: {error}")
    for index, code in enumerate(model.languages):
        if not well_formed(code):
            errors.append(
                f"languages[{index}]: expected a code such as pt or pt-BR, found {code!r}"
            )
    given = model.pairs or model.languages
    if Task.TRANSLATE in model.tasks and not given:
        errors.append("pairs: is missing; a model that translates names its pairs, such as [en-pt]")
    if given and Task.TRANSLATE not in model.tasks:
        errors.append("pairs: only a model with the task translate has pairs")
    return errors


def _check_routing(config: Config) -> list[str]:
    errors = []
    for name, policy in config.routing.policies.items():
        if name not in {*Task}:
            errors.append(f"{name}: is no task; the tasks are: {', '.join(Task)}")
            continue
        catalog = (one for model in config.models for one in model.candidates())
        models = [one.name for one in catalog if name in one.tasks]
        errors += [f"{name}.{line}" for line in _check_policy(policy, models)]
    return errors


def _check_policy(policy: PolicyConfig, models: list[str]) -> list[str]:
    errors = []
    doing = f"the models that do this are: {', '.join(models) or 'none'}"
    weighted, pinned = policy.policy is PolicyName.WEIGHTED, policy.policy is PolicyName.PINNED
    for name, weight in policy.weights.items():
        if name not in models:
            errors.append(f"weights.{name}: is no model for this task; {doing}")
        elif weight < 0:
            errors.append(f"weights.{name}: must be 0 or more")
    if weighted and not any(weight > 0 for weight in policy.weights.values()):
        errors.append(f"weights: name at least one model with a weight above 0; {doing}")
    if policy.weights and not weighted:
        errors.append("weights: only the policy weighted has weights")
    if pinned and policy.model not in models:
        errors.append(f"model: name the model to pin; {doing}")
    if policy.model and not pinned:
        errors.append("model: only the policy pinned names a model")
    return errors
