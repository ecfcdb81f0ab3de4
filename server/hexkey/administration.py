"""What an operator does to a running server: load, unload, and take in a changed configuration."""

from __future__ import annotations

import asyncio
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import msgspec
import structlog

from hexkey.config import ConfigError
from hexkey.devices import fixed
from hexkey.errors import ServeError, invalid
from hexkey.models.errors import ModelError
from hexkey.provisioning import fetch_models, specs, spent_before

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hexkey.config import Config
    from hexkey.metrics import Metrics
    from hexkey.pool import Pool
    from hexkey.residency import Spec

_LIVE = {
    "models", "routing", "autocomplete", "access.tenants", "limits.max_characters",
    "limits.cold_start_s",
}  # fmt: skip
"""Sections, and fields of some, that a reload takes in; any other change waits for a restart."""

log = structlog.get_logger("hexkey.administration")


class Reloaded(msgspec.Struct, frozen=True):
    """What a reload did; ``restart_needed`` names what changed and it could not take in."""

    generation: int
    models: list[str]
    restart_needed: list[str]


class Administration:
    """Changes the models of a ``pool``; ``read`` returns the configuration as it is written now.

    ``apply`` takes in what is no model: bounds, quotas, and what tenants that are new to them spent
    before, today and this month. It must not fail or wait.
    """

    def __init__(
        self,
        config: Config,
        pool: Pool,
        metrics: Metrics,
        apply: Callable[[Config, Mapping[str, tuple[int, int]]], None],
        read: Callable[[], Config] | None = None,
    ) -> None:
        self._config = config
        self._pool = pool
        self._metrics = metrics
        self._apply = apply
        self._read = read
        self._lock = asyncio.Lock()
        self.generation = 1
        metrics.config_generation.set(1)

    async def load(self, model: str) -> None:
        """Return once a model serves; ``ServeError`` where there is none or it cannot."""
        await self._pool.load(model)

    async def unload(self, model: str) -> None:
        """Take a model out of memory once it has finished what it has."""
        await self._pool.unload(model)

    async def reload(self) -> Reloaded:
        """Serve the configuration as it is written now; ``ServeError`` leaves all as it was."""
        async with self._lock:
            try:
                reloaded = await self._reload()
            except ServeError as error:
                self._metrics.config_reloads.labels("refused").inc()
                log.error("the configuration is not taken in", why=error.message)
                raise
            self._metrics.config_reloads.labels("ok").inc()
            self._metrics.config_generation.set(self.generation)
            log.info("configuration", **msgspec.structs.asdict(reloaded))
            return reloaded

    async def _reload(self) -> Reloaded:
        if self._read is None:
            raise invalid("this server was started without a configuration file")
        try:
            config = await asyncio.to_thread(self._read)
            folders = await fetch_models(config, lambda _text: None)
            bounded = replace(self._config, access=config.access)
            spent = await asyncio.to_thread(spent_before, bounded)
        except (ConfigError, ModelError, OSError) as error:
            raise invalid(str(error)) from None
        await self._pool.replace(self._placed(specs(config, folders)))
        self._apply(config, spent)
        self.generation += 1
        names = [model.name for model in config.models]
        return Reloaded(self.generation, names, _waiting(self._config, config))

    def _placed(self, models: list[Spec]) -> list[Spec]:
        """Return models that are on devices which this server keeps books of."""
        known = {one.name for one in self._config.cost.devices} or {""}
        new = sorted({one.device for one in models} - known)
        if new:
            raise invalid(
                f"models are placed on other devices than this server was started with "
                f"({', '.join(filter(None, new)) or 'none is named'}); restart it to take them in",
                "cost.devices",
            )
        return models


def _waiting(before: Config, now: Config) -> list[str]:
    """Return what differs and waits for a restart: sections, or fields of those taken in partly."""
    partly = {name.partition(".")[0] for name in _LIVE if "." in name}
    changed = []
    for section in (one.name for one in fields(now)):
        old, new = getattr(before, section), getattr(now, section)
        if section in partly:
            names = [one.name for one in fields(new)]
            changed += [f"{section}.{n}" for n in names if getattr(old, n) != getattr(new, n)]
        elif old != new:
            changed.append(section)
    if fixed(before.cost) == fixed(now.cost):
        # Prices and what they are compared with are taken in; currency, devices and meters stay.
        changed = [name for name in changed if name != "cost"]
    return [name for name in changed if name not in _LIVE]
