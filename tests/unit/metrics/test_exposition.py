from __future__ import annotations

import math

import pytest
from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition, parser

from hexkey.billing import Billing
from hexkey.config import CostConfig
from hexkey.metrics import OPENMETRICS, TEXT, Metrics
from hexkey.metrics.exposition import wants_openmetrics

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


def busy() -> Metrics:
    """Metrics with every kind of number and of label."""
    metrics = Metrics()
    metrics.build.labels('a"b\\c\nd é').set(1)
    for value in (0.0, 1e-9, 0.0025, 0.3, 5, 1e6, 12345678.9, 1e300):
        series = metrics.of_request("chat", f"m{value}", "ok", "http")
        series.requests.inc(value)
        series.duration.observe(value)
        series.cost.observe(value)
        series.input_tokens.inc(3)
    for number, value in enumerate((math.inf, -math.inf, -1e7, -3)):
        metrics.engine_running.labels(str(number)).set(value)
    metrics.of_engine("quiet")
    metrics.suggestion_entries.set_function(lambda: 7)
    return metrics


def parsed(text: bytes) -> list[Metric]:
    return list(parser.text_string_to_metric_families(text.decode()))  # type: ignore[no-untyped-call]


def test_the_text_is_the_librarys_to_the_byte() -> None:
    metrics = busy()
    for _ in range(2):
        assert metrics.render() == generate_latest(metrics.registry)
        assert b"hexkey_suggestion_cache_entries 7.0" in metrics.render()
        metrics.of_request("chat", "m5", "ok", "http").duration.observe(0.2)


def test_a_nan_is_written_as_one() -> None:
    metrics = Metrics()
    metrics.engine_running.labels("m").set(math.nan)
    assert 'hexkey_engine_running{model="m"} NaN\n' in metrics.render().decode()


def test_openmetrics_is_the_librarys_to_the_byte_with_exemplars() -> None:
    metrics = busy()
    series = metrics.of_request("chat", "m5", "ok", "http")
    for value in (0.03, 7.5, 1000.0):
        series.duration.observe(value, {"trace_id": "0af7651916cd43dd8448eb211c80319c"})
    text, kind = metrics.answer(PROMETHEUS_2)
    assert kind == OPENMETRICS
    assert text == exposition.generate_latest(metrics.registry)  # type: ignore[no-untyped-call]
    found = [
        sample.exemplar.labels["trace_id"]
        for family in parsed(text)
        for sample in family.samples
        if sample.exemplar
    ]
    assert found == ["0af7651916cd43dd8448eb211c80319c"] * 3


def test_the_ledgers_pages_are_exported_too() -> None:
    metrics = Metrics()
    billing = Billing(CostConfig(price_per_hour="0"), ["m"])
    metrics.watch(billing)
    lines = metrics.render().decode().splitlines()
    assert 'hexkey_bill_total{currency="USD",device="machine"} 0.0' in lines
    assert 'hexkey_ledger_imbalance{device="machine"} 0.0' in lines
    assert parsed(metrics.answer(PROMETHEUS_2)[0])


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        (PROMETHEUS_2, True),
        ("text/plain;q=0.9, application/openmetrics-text;version=1.0.0;q=0.5", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=much,,;;", False),
    ],
)
def test_the_format_is_what_is_asked_for(accept: str, wanted: bool) -> None:  # noqa: FBT001
    assert wants_openmetrics(accept) is wanted
    assert Metrics().answer(accept)[1] == (OPENMETRICS if wanted else TEXT)
