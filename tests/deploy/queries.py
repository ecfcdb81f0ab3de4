"""What PromQL names, and what there is to be named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from hexkey.admission import Gate
from hexkey.billing import Billing
from hexkey.config import CostConfig
from hexkey.metrics import Metrics
from hexkey.usage.store import Store
from hexkey.usage.writer import Writer
from tests.deploy.conftest import DEPLOY

SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def rules(name: str) -> list[dict[str, Any]]:
    """The rules of a file of ``deploy/prometheus``, its groups together."""
    groups = yaml.safe_load((DEPLOY / "prometheus" / name).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def exported() -> set[str]:
    """The names of all samples that a server can have."""
    metrics = Metrics()
    metrics.watch_queues(Gate({}))
    metrics.watch_states(dict)
    metrics.watch_circuits(dict)
    metrics.watch(Billing(CostConfig(), ["m"]))
    metrics.watch_usage(Writer(Store(Path(), keep_days=1, max_bytes=1)))
    families = metrics.registry.collect()
    return {one.name + suffix for one in families for suffix in SUFFIXES[one.type]}


def recorded() -> set[str]:
    return {rule["record"] for rule in rules("rules.yml")}


def named(query: str) -> set[str]:
    """hexkey's metrics and recorded series that a query asks for."""
    bare = re.sub(r'"[^"]*"|\[[^]]*]', "", query)
    return set(re.findall(r"[a-z_]+:hexkey\w+:\w+|\bhexkey_\w+", bare))
