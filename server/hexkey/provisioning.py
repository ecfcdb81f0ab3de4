"""From a configuration to what the rack takes: files fetched and verified, then a spec a model."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from hexkey.cost.price import PICO
from hexkey.engines.supervisor import HostSettings
from hexkey.identity.quota import Allowance
from hexkey.models.cache import default_cache, fetch
from hexkey.residency import GIB, Keep, Spec
from hexkey.types import Task
from hexkey.usage.report import totals
from hexkey.usage.store import Store
from hexkey.usage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from hexkey.config import AdapterConfig, Config, ModelConfig, QueueConfig, UsageConfig

    Say = Callable[[str], None]

FETCHES = 2
"""Models that are fetched, or whose files are hashed, at a time."""
log = structlog.get_logger("hexkey.provisioning")


async def fetch_models(config: Config, say: Say) -> dict[str, str]:
    """Return each model's folder, or file where its source is one; ``ModelError`` if it fails."""
    cache = _cache(config)

    # Threads of its own: hashing and fetching may take minutes, and a scrape must not wait for it.
    threads = ThreadPoolExecutor(FETCHES, "fetch")

    async def one(model: ModelConfig | AdapterConfig) -> tuple[str, str]:
        if not model.source:
            return model.name, ""
        fetching = partial(
            fetch,
            model.source,
            cache=cache,
            sha256=model.sha256 or None,
            progress=lambda text: say(f"{model.name}: {text}"),
        )
        files = await asyncio.get_running_loop().run_in_executor(threads, fetching)
        return model.name, str(files.paths[0] if len(files.paths) == 1 else files.folder)

    models = [one(model) for model in config.models]
    adapters = [one(adapter) for model in config.models for adapter in model.adapters]
    try:
        return dict(await asyncio.gather(*models, *adapters))
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def specs(config: Config, folders: dict[str, str]) -> list[Spec]:
    """Return the models of a configuration whose files are in ``folders``."""
    only = config.cost.devices[0].name if config.cost.devices else ""
    return [
        Spec(
            model.candidate(),
            HostSettings(
                model=model.name,
                engine=model.engine,
                folder=folders[model.name],
                options=model.options,
                load_timeout_s=model.load_timeout_s,
                stall_timeout_s=model.stall_timeout_s,
                cold_start_s=config.limits.cold_start_s,
                adapters={one.name: folders[one.name] for one in model.adapters},
            ),
            Keep(
                on_request=model.load == "on_request",
                pinned=model.pinned,
                idle_unload_s=model.idle_unload_s,
                memory=int(model.memory_gib * GIB),
            ),
            model.candidates()[1:],
            model.device or only,
        )
        for model in config.models
    ]


def queues(config: Config) -> dict[str, QueueConfig]:
    """Return how each model is queued for; an adapter's queue is bounded as its base's is."""
    return {
        name: model.queue
        for model in config.models
        for name in (model.name, *(one.name for one in model.adapters))
    }


def allowances(config: Config) -> dict[str, Allowance]:
    """Return what each named tenant may use."""
    return {
        one.name: Allowance(
            one.requests_per_minute,
            one.tokens_per_minute,
            one.concurrent,
            int(Decimal(one.budget_per_day) * PICO),
            int(Decimal(one.budget_per_month) * PICO),
        )
        for one in config.access.tenants
    }


def spent_before(config: Config) -> dict[str, tuple[int, int]]:
    """Return what each tenant spent today and this month, UTC, by the usage ledger on disk.

    In pico-units; reads files. What cannot be read is told in the log and counts for nothing, since
    a server that does not start serves no tenant. Empty where nobody has a budget.
    """
    budgets = any(allowance.budgeted for allowance in allowances(config).values())
    if not budgets or not config.usage.folder:
        return {}
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    spent: dict[str, tuple[int, int]] = {}
    for begun in (today, today.replace(day=1)):
        lines = totals(
            Path(config.usage.folder).expanduser(),
            ("tenant",),
            since_us=int(begun.timestamp() * 1e6),
            until_us=int(now.timestamp() * 1e6),
            unread=partial(_unread, "what tenants spent"),
        )
        for key, amounts in lines.items():
            if key.currency == config.cost.currency:
                one = spent.get(key.values[0], (0, 0))
                day = amounts.cost_pico if begun == today else one[0]
                spent[key.values[0]] = (day, amounts.cost_pico)
    return spent


def translated_before(config: Config) -> dict[str, int]:
    """Return the characters each tenant had translated this month, UTC, by the usage ledger.

    Reads files; what cannot be read is told in the log and counts for nothing.
    """
    now = datetime.now(UTC)
    begun = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    lines = totals(
        Path(config.usage.folder).expanduser(),
        ("tenant", "task"),
        since_us=int(begun.timestamp() * 1e6),
        until_us=int(now.timestamp() * 1e6),
        unread=partial(_unread, "what tenants had translated"),
    )
    found = Counter[str]()
    for key, amounts in lines.items():
        tenant, task = key.values
        if task == Task.TRANSLATE:
            found[tenant] += amounts.input_characters
    return dict(found)


def _unread(what: str, error: OSError) -> None:
    log.error("some of the usage ledger cannot be read", lost=what, why=str(error))


def _cache(config: Config) -> Path:
    return Path(config.cache_dir).expanduser() if config.cache_dir else default_cache()


def memory(config: Config) -> int:
    """Return the bytes that all models may take together; 0 is any amount."""
    return int(config.limits.memory_gib * GIB)


def usage_writer(config: UsageConfig) -> Writer:
    """Return what writes the usage ledger."""
    folder = Path(config.folder).expanduser()
    return Writer(Store(folder, keep_days=config.keep_days, max_bytes=int(config.max_gib * GIB)))
