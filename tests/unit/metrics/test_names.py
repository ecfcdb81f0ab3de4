"""The metrics are those that the design lists, with its labels and its buckets."""

from __future__ import annotations

import pytest
from prometheus_client import Histogram
from prometheus_client.core import Metric

from hexkey.admission import Gate
from hexkey.billing import Billing
from hexkey.config import CostConfig, QueueConfig
from hexkey.engines.supervisor import State
from hexkey.metrics import Metrics
from hexkey.metrics.series import collectors, names
from hexkey.types import Task

BY_REQUEST = {"task", "model", "outcome", "protocol"}
LABELS = {
    "bill_total": {"device", "currency"},
    "cost_total": {"device", "model", "kind", "currency"},
    "task_cost_total": {"task", "model", "outcome", "currency"},
    "tenant_cost_total": {"tenant", "currency"},
    "device_seconds_total": {"device", "model", "state"},
    "energy_joules_total": {"device", "model", "kind", "source"},
    "counterfactual_cost_total": {"reference", "task", "currency"},
    "cost_in_flight": {"device"},
    "ledger_imbalance": {"device"},
    "device_price_per_hour": {"device"},
    "attribution_coefficient": {"model", "term"},
    "request_cost": {"task", "model"},
    "request_duration_seconds": BY_REQUEST,
    "time_to_first_token_seconds": BY_REQUEST,
    "inter_token_latency_seconds": BY_REQUEST,
    "queue_seconds": BY_REQUEST,
    "requests_total": BY_REQUEST,
    "queue_requests": {"model", "priority"},
    "requests_in_flight": {"model"},
    "engine_running": {"model"},
    "engine_kv_usage_ratio": {"model"},
    "engine_batch_size": {"model"},
    "engine_step_seconds": {"model"},
    "engine_restarts_total": {"model", "reason"},
    "tokens_total": {"task", "model", "direction"},
    "rejected_total": {"task", "reason"},
    "model_state": {"model", "state"},
}
_DURATION = ".0025 .005 .01 .02 .04 .08 .16 .25 .32 .5 .64 1 1.28 2.56 5.12 10.24 20.48 40.96 81.92"
EDGES = {
    "request_duration": _DURATION,
    "queue": _DURATION,
    "time_to_first_token": ".001 .005 .01 .02 .04 .06 .08 .1 .25 .5 .75 1 2.5 5 7.5 10",
    "inter_token_latency": (
        ".0005 .001 .002 .003 .005 .0075 .01 .015 .02 .03 .05 .075 .1 .2 .5 1 2.5"
    ),
}
KINDS = {"active", "idle", "load", "overhead", "unallocated"}


@pytest.fixture(scope="module")
def exported() -> Metrics:
    metrics = Metrics()
    billing = Billing(CostConfig(price_per_hour="1", watts="10"), ["m"])
    billing.open("m", Task.CHAT, "somebody").settle("ok", None)
    metrics.watch(billing)
    metrics.watch_queues(Gate({"m": QueueConfig()}))
    metrics.watch_states(lambda: {"m": State.READY})
    return metrics


def collected(metrics: Metrics) -> dict[str, Metric]:
    _, others = collectors(metrics.registry)
    return {family.name: family for one in others for family in one.collect()}


def test_every_metric_of_the_design_has_its_labels(exported: Metrics) -> None:
    own, _ = collectors(exported.registry)
    found = {next(iter(one.describe())).name: set(names(one)) for one in own}
    for name, family in collected(exported).items():
        assert family.samples, name
        found[name] = set(family.samples[0].labels)
    for name, labels in LABELS.items():
        assert found[f"hexkey_{name.removesuffix('_total')}"] == labels, name


def test_the_bill_is_split_by_the_kinds_of_the_design(exported: Metrics) -> None:
    cost = collected(exported)["hexkey_cost"]
    assert {sample.labels["kind"] for sample in cost.samples} == KINDS


@pytest.mark.parametrize("name", EDGES)
def test_buckets_are_those_of_the_design(name: str) -> None:
    histogram = getattr(Metrics(), name)
    assert isinstance(histogram, Histogram)
    counts = counts_of(histogram)
    assert list(map(float, counts)) == [*map(float, EDGES[name].split()), float("inf")]


def counts_of(histogram: Histogram) -> list[str]:
    histogram.labels("chat", "m", "ok", "http").observe(1)
    family = next(iter(histogram.collect()))
    return [sample.labels["le"] for sample in family.samples if "le" in sample.labels]
