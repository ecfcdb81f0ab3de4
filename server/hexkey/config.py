"""The configuration: frozen data, read once, every mistake reported with its path."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields
from datetime import date  # noqa: TC003 - schema reads the annotations at run time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import yaml

from hexkey.cost.price import Owned, decimal
from hexkey.engines import factory
from hexkey.models.errors import ModelError
from hexkey.models.sources import parse
from hexkey.routing import AUTO, Pair, language
from hexkey.schema import Reader
from hexkey.types import Task

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_PAIR = re.compile(r"([a-z]{2,3})-([a-z]{2,3})")
_ADDRESS = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9._-]+)?)]|(?P<name>[A-Za-z0-9._-]+))"
    r":(?P<port>[0-9]{1,5})"
)
MAX_BYTES = 1 << 20
MAX_PORT = 0xFFFF


# What PyYAML lets out of its constructors where a value does not fit its tag (``2020-13-45``).
_UNFIT = (ValueError, LookupError, AttributeError)


class ConfigError(Exception):
    """A configuration that cannot be used; ``errors`` are lines of ``path: what to do``."""

    def __init__(self, where: str, errors: list[str]) -> None:
        super().__init__("\n".join([f"{where} cannot be used:", *(f"  {one}" for one in errors)]))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """Addresses as ``host:port``; port 0 takes a free one. An empty ``grpc`` turns gRPC off."""

    http: str = "127.0.0.1:8080"
    grpc: str = "127.0.0.1:8081"


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """Bounds on what one request may hold and on how long a stop may take (seconds)."""

    max_characters: int = 400_000
    max_body_bytes: int = 8 << 20
    stop_grace_s: float = 30.0


@dataclass(frozen=True, slots=True)
class LogConfig:
    """``level`` is debug, info, warning or error; ``json`` false prints for people."""

    level: str = "info"
    json: bool = True


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model: where its files come from, which engine runs it, what it is for."""

    name: str
    engine: str
    tasks: tuple[Task, ...]
    source: str = ""
    sha256: dict[str, str] = field(default_factory=dict)
    pairs: tuple[str, ...] = ()
    options: dict[str, object] = field(default_factory=dict)
    max_in_flight: int = 256
    load_timeout_s: float = 300.0
    stall_timeout_s: float = 8.0

    def parsed_pairs(self) -> tuple[Pair, ...]:
        """Return ``pairs`` as directions."""
        return tuple(Pair(*one.split("-")) for one in self.pairs)


@dataclass(frozen=True, slots=True)
class OwnedConfig:
    """A machine of one's own; money and factors are quoted decimals, ``months`` its life."""

    capex: str
    months: int
    residual: str = "0"
    opex_per_hour: str = "0"
    pue: str = "1"
    price_per_kwh: str = "0"


@dataclass(frozen=True, slots=True)
class ReferenceConfig:
    """Prices per million tokens of a service that could do the same work, as of a day."""

    name: str
    as_of: date
    input_per_million: str
    output_per_million: str


@dataclass(frozen=True, slots=True)
class CostConfig:
    """What the machine costs. ``expose`` is all (in every answer) or none (metrics only)."""

    currency: str = "USD"
    price_per_hour: str = "0"
    owned: OwnedConfig | None = None
    watts: str = "0"
    expose: str = "all"
    references: tuple[ReferenceConfig, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """Everything an operator decides."""

    models: tuple[ModelConfig, ...]
    listen: ListenConfig = ListenConfig()
    limits: LimitsConfig = LimitsConfig()
    log: LogConfig = LogConfig()
    cost: CostConfig = CostConfig()
    cache_dir: str = ""


class _StrictLoader(yaml.SafeLoader):
    """Plain YAML: keys are text and given once, and what is written is all there is.

    Aliases are refused, since a few lines of them stand for more than any memory holds; so are
    keys that only look like text, such as ``no``, which YAML reads as false.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                None,
                None,
                "an alias is not taken here; write the value out",
                self.peek_event().start_mark,  # type: ignore[no-untyped-call]
            )
        return super().compose_node(parent, index)

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - yaml's signature
    ) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None,
                    None,
                    f"the key {key!r} is not text; put it in quotes",
                    key_node.start_mark,
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def load(path: Path) -> Config:
    """Read and check a file; ``ConfigError`` lists all that is wrong with it."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(str(path), [f"it cannot be read: {error.strerror}"]) from None
    return parse_config(text, str(path))


def parse_config(text: bytes, where: str = "the configuration") -> Config:
    """Read and check the text of a configuration."""
    if len(text) > MAX_BYTES:
        raise ConfigError(where, [f"it is larger than {MAX_BYTES} bytes"])
    try:
        data = yaml.load(text, _StrictLoader)  # noqa: S506 - a SafeLoader underneath
    except (yaml.YAMLError, RecursionError, *_UNFIT) as error:
        said = " ".join(str(error).split())
        raise ConfigError(where, [f"its YAML cannot be read: {said}"]) from None
    reader = Reader()
    config = reader.read(Config, data, "")
    if config is None:
        raise ConfigError(where, reader.errors)
    errors = list(_check(config))
    if errors:
        raise ConfigError(where, errors)
    return config


def _check(config: Config) -> list[str]:
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
    for name, address in (("http", config.listen.http), ("grpc", config.listen.grpc)):
        if (address or name == "http") and split_address(address) is None:
            errors.append(f"listen.{name}: expected host:port, found {address!r}")
    errors += [f"cost.{line}" for line in _check_cost(config.cost)]
    if config.log.level not in {"debug", "info", "warning", "error"}:
        errors.append("log.level: expected one of debug, info, warning, error")
    bounds = ("max_characters", "max_body_bytes", "stop_grace_s")
    errors += [f"limits.{line}" for line in _not_positive(config.limits, bounds)]
    return errors


def _check_cost(cost: CostConfig) -> list[str]:
    errors = [f"{line}" for line in _check_decimals(cost, ("price_per_hour", "watts"))]
    if not re.fullmatch("[A-Z]{3}", cost.currency):
        errors.append(f"currency: expected three letters such as EUR, found {cost.currency!r}")
    if cost.expose not in {"all", "none"}:
        errors.append(f"expose: expected all or none, found {cost.expose!r}")
    if cost.owned is not None:
        names = tuple(one.name for one in fields(cost.owned) if one.name != "months")
        wrong = [f"owned.{line}" for line in _check_decimals(cost.owned, names)]
        if not wrong:
            wrong = _check_owned(cost.owned)
        if cost.price_per_hour != "0":
            wrong.append("price_per_hour: leave it out where owned is given")
        errors += wrong
    for index, one in enumerate(cost.references):
        names = ("input_per_million", "output_per_million")
        errors += [f"references[{index}].{line}" for line in _check_decimals(one, names)]
    return errors


def _check_decimals(holder: object, names: tuple[str, ...]) -> list[str]:
    errors = []
    for name in names:
        try:
            decimal(getattr(holder, name))
        except ValueError as error:
            errors.append(f"{name}: {error}")
    return errors


def _check_owned(owned: OwnedConfig) -> list[str]:
    numbers = {
        one.name: Decimal(getattr(owned, one.name)) for one in fields(owned) if one.name != "months"
    }
    try:
        Owned(months=owned.months, **numbers)
    except ValueError as error:
        return [f"owned.{error}"]
    return []


def _check_model(model: ModelConfig) -> list[str]:
    errors: list[str] = []
    if not _NAME.fullmatch(model.name):
        errors.append("name: letters, digits and . _ / - only, 128 at most")
    if model.name in {AUTO, *Task}:
        errors.append(f"name: {model.name!r} is the name of a task; choose another")
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
        try:
            parse(model.source)
        except ModelError as error:
            errors.append(f"source: {error}")
    errors += _check_pairs(model)
    errors += _not_positive(model, ("max_in_flight", "load_timeout_s", "stall_timeout_s"))
    return errors


def _not_positive(section: object, names: tuple[str, ...]) -> list[str]:
    # Written so that infinity and NaN are refused as well.
    return [
        f"{name}: must be a number greater than 0"
        for name in names
        if not 0 < getattr(section, name) < math.inf
    ]


def _check_pairs(model: ModelConfig) -> list[str]:
    errors = [
        f"pairs[{index}]: expected two language codes such as en-pt, found {pair!r}"
        for index, pair in enumerate(model.pairs)
        if not _PAIR.fullmatch(pair) or not language(pair)
    ]
    if Task.TRANSLATE in model.tasks and not model.pairs:
        errors.append("pairs: is missing; a model that translates names its pairs, such as [en-pt]")
    if model.pairs and Task.TRANSLATE not in model.tasks:
        errors.append("pairs: only a model with the task translate has pairs")
    return errors


def split_address(address: str) -> tuple[str, int] | None:
    """Return host and port of ``host:port`` (``[::1]:8080`` for IPv6), or None if it is neither."""
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found["port"]) > MAX_PORT:
        return None
    return found["ipv6"] or found["name"], int(found["port"])
