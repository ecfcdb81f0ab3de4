"""The configuration: frozen data, read once, every mistake reported with its path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hexkey.config import strictyaml
from hexkey.config.address import split_address
from hexkey.config.checks import check
from hexkey.config.sections import (
    AccessConfig,
    AdapterConfig,
    AutocompleteConfig,
    Config,
    CostConfig,
    DeviceConfig,
    LimitsConfig,
    ListenConfig,
    LogConfig,
    ModelConfig,
    OwnedConfig,
    PolicyConfig,
    QueueConfig,
    ReferenceConfig,
    RoutingConfig,
    TenantConfig,
    TracesConfig,
    UsageConfig,
)
from hexkey.schema import Reader

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "AccessConfig",
    "AdapterConfig",
    "AutocompleteConfig",
    "Config",
    "ConfigError",
    "CostConfig",
    "DeviceConfig",
    "LimitsConfig",
    "ListenConfig",
    "LogConfig",
    "ModelConfig",
    "OwnedConfig",
    "PolicyConfig",
    "QueueConfig",
    "ReferenceConfig",
    "RoutingConfig",
    "TenantConfig",
    "TracesConfig",
    "UsageConfig",
    "load",
    "parse_config",
    "split_address",
]

MAX_BYTES = 1 << 20


class ConfigError(Exception):
    """A configuration that cannot be used; ``errors`` are lines of ``path: what to do``."""

    def __init__(self, where: str, errors: list[str]) -> None:
        super().__init__("\n".join([f"{where} cannot be used:", *(f"  {one}" for one in errors)]))
        self.errors = errors


def load(path: Path, *, options: bool = False) -> Config:
    """Read and check a file; ``ConfigError`` lists all that is wrong with it.

    With ``options`` those of engines are read, too, which may load their libraries.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(str(path), [f"it cannot be read: {error.strerror}"]) from None
    return parse_config(text, str(path), options=options)


def parse_config(text: bytes, where: str = "the configuration", *, options: bool = False) -> Config:
    """Read and check the text of a configuration."""
    if len(text) > MAX_BYTES:
        raise ConfigError(where, [f"it is larger than {MAX_BYTES} bytes"])
    try:
        data, errors = strictyaml.read(text)
    except ValueError as error:
        raise ConfigError(where, [f"its YAML cannot be read: {error}"]) from None
    reader = Reader()
    config = reader.read_known(Config, data, "")
    errors += [*reader.errors, *check(config, options=options)]
    if errors:
        raise ConfigError(where, _by_place(errors))
    return config


def _by_place(errors: list[str]) -> list[str]:
    """Return what is wrong with one model, or one section, together."""
    places = [re.split(r"[.:]", one, maxsplit=1)[0] for one in errors]
    first: dict[str, int] = {}
    for at, place in enumerate(places):
        first.setdefault(place, at)
    order = sorted(range(len(errors)), key=lambda at: first[places[at]])
    return [errors[at] for at in order]
