"""The rules are good PromQL, ask for what exists and do what promtool's tests say."""

from __future__ import annotations

import re

import pytest

from hexkey import metrics
from hexkey.metering import Outcome
from hexkey.types import Task
from tests.deploy.conftest import DEPLOY, promtool
from tests.deploy.queries import exported, named, recorded, rules

FOLDER = DEPLOY / "prometheus"
EDGES = {
    "hexkey_request_duration_seconds_bucket": metrics.DURATION_S,
    "hexkey_time_to_first_token_seconds_bucket": metrics.TTFT_S,
}
ALL = [*rules("rules.yml"), *rules("alerts.yml")]
IDS = [one.get("record") or one["alert"] for one in ALL]


def test_promtool_finds_the_configuration_and_the_rules_good() -> None:
    assert "SUCCESS" in promtool("check", "config", FOLDER / "prometheus.yml")
    for name in ("rules.yml", "alerts.yml"):
        said = promtool("check", "rules", "--lint=all", "--lint-fatal", FOLDER / name)
        assert f"{len(rules(name))} rules found" in said


def test_every_alert_fires_when_it_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", FOLDER / "tests.yml")
    tested = (FOLDER / "tests.yml").read_text()
    for rule in rules("alerts.yml"):
        block = rf"alertname: {rule['alert']}\n\s+exp_alerts:\n\s+- exp_labels"
        assert re.search(block, tested), rule["alert"]


@pytest.mark.parametrize("rule", ALL, ids=IDS)
def test_a_rule_asks_for_what_is_exported_or_recorded(rule: dict[str, str]) -> None:
    names = named(rule["expr"])
    assert names or 'up{job="hexkey"}' in rule["expr"]
    assert names <= exported() | recorded()


@pytest.mark.parametrize("rule", ALL, ids=IDS)
def test_a_rule_chooses_outcomes_and_tasks_that_exist(rule: dict[str, str]) -> None:
    for label, known in (("outcome", set(Outcome)), ("task", set(Task))):
        for values in re.findall(rf'\b{label}[!=]=?~?"([^"]+)"', rule["expr"]):
            assert set(values.split("|")) <= known


def test_every_threshold_of_latency_is_the_edge_of_a_bucket() -> None:
    pattern = r'(hexkey_\w+_bucket)\{[^}]*le="([^"]+)"'
    found = {one for rule in ALL for one in re.findall(pattern, rule["expr"])}
    assert len(found) == 3
    for name, edge in found:
        assert float(edge) in EDGES[name]
        # As prometheus_client writes it: a label is text, and 1 is not 1.0.
        assert edge == str(float(edge))


@pytest.mark.parametrize("rule", rules("alerts.yml"), ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_how_urgent_it_is_and_what_happened(rule: dict[str, dict[str, str]]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "description"}
