#!/usr/bin/env python3
"""Makes ``dashboards/*.json`` from the tables below; run it after a change and commit both.

A dashboard is a list of panels; each answers one question, which is its description. Grafana's
grid is 24 wide; panels follow each other from left to right, ``width`` each, and wrap.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCE = {"type": "prometheus", "uid": "${source}"}
GRID = 24
HEIGHT = {"stat": 4, "timeseries": 8, "state-timeline": 8}


@dataclass(frozen=True, slots=True)
class Panel:
    """One question. ``queries`` maps a legend to PromQL; ``limits`` colour yellow and red.

    A ``signed`` panel goes below zero; the series of a ``stacked`` one add up to something.
    """

    title: str
    answers: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"
    width: int = 12
    limits: tuple[float, ...] = ()
    signed: bool = False
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One page. ``variable`` is a label to choose by, ``metric`` one that has all its values."""

    title: str
    variable: str
    metric: str
    panels: tuple[Panel, ...]


def _stat(title: str, answers: str, unit: str, query: str, *limits: float) -> Panel:
    return Panel(title, answers, unit, {"": query}, "stat", 4, limits)


def _rate(by: str, metric: str, choice: str) -> str:
    return f'sum by ({by}) (rate({metric}{{{choice}=~"${choice}"}}[$__rate_interval]))'


def _by(label: str, metric: str, choice: str) -> dict[str, str]:
    return {f"{{{{{label}}}}}": _rate(label, metric, choice)}


def _percentiles(metric: str) -> dict[str, str]:
    return {
        f"{{{{task}}}} p{percent}": f'task:hexkey_{metric}_seconds:p{percent}_5m{{task=~"$task"}}'
        for percent in (50, 95, 99)
    }


def _burn(budget: str) -> dict[str, str]:
    return {
        f"{{{{task}}}} {window}": f'task:hexkey_{budget}_budget_burn:{window}{{task=~"$task"}}'
        for window in ("5m", "30m", "1h", "6h")
    }


# fmt: off
OVERVIEW = Dashboard("hexkey: Overview", "task", "hexkey_requests_total", (
    _stat("Models that serve", "How many models answer requests now?", "short",
          'sum(hexkey_model_state{state="ready"})'),
    _stat("Models that do not", "How many models load, wait to restart or failed?", "short",
          'sum(hexkey_model_state{state=~"loading|backoff|failed"})', 1),
    _stat("Requests", "How many requests settle per second?", "reqps",
          'sum(task:hexkey_requests:rate5m{task=~"$task"})'),
    _stat("Failed", "Which share of requests fails, in the worst task?", "percentunit",
          'max(task:hexkey_errors:ratio_rate5m{task=~"$task"})', 0.001, 0.0144),
    _stat("Slowest p95", "In which time do 95 % of the slowest task's requests end?", "s",
          'max(task:hexkey_request_duration_seconds:p95_5m{task=~"$task"})'),
    _stat("Tokens out", "How many tokens do the models make per second?", "short",
          'sum(task_model:hexkey_tokens:rate5m{task=~"$task",direction="output"})'),
    Panel("Requests by task", "What is asked for, and how often?", "reqps",
          {"{{task}}": 'task:hexkey_requests:rate5m{task=~"$task"}'}),
    Panel("Requests by outcome", "How do requests end?", "reqps",
          _by("outcome", "hexkey_requests_total", "task")),
    Panel("Duration", "How long does a request that goes well take, from decoded to settled?", "s",
          _percentiles("request_duration")),
    Panel("Time to first token", "How long does a caller wait until something comes?", "s",
          _percentiles("time_to_first_token")),
    Panel("Time between tokens", "How fluently does text come, once it comes?", "s",
          _percentiles("inter_token_latency")),
    Panel("Tokens", "How many tokens go in and come out per second?", "short",
          {"{{task}} {{direction}}":
           'sum by (task, direction) (task_model:hexkey_tokens:rate5m{task=~"$task"})'}),
    Panel("Refused", "How many requests never reach a model, and why?", "reqps",
          {"{{task}} {{reason}}": _rate("task, reason", "hexkey_rejected_total", "task")}),
    Panel("Protocols", "By which door do callers come in?", "reqps",
          _by("protocol", "hexkey_requests_total", "task")),
))

MODELS = Dashboard("hexkey: Models", "model", "hexkey_model_state", (
    Panel("State", "Which state is each model in, and since when?", "short",
          {"{{model}} {{state}}": 'hexkey_model_state{model=~"$model"} == 1'},
          "state-timeline", GRID),
    Panel("Requests", "Which model does the work?", "reqps",
          _by("model", "hexkey_requests_total", "model")),
    Panel("Tokens out", "How many tokens does each model make per second?", "short",
          {"{{model}}": "sum by (model) "
           '(task_model:hexkey_tokens:rate5m{model=~"$model",direction="output"})'}),
    Panel("Under way", "How many requests wait for each model, and how many has it?", "short",
          {"{{model}} wait": 'sum by (model) (hexkey_queue_requests{model=~"$model"})',
           "{{model}} admitted": 'sum by (model) (hexkey_requests_in_flight{model=~"$model"})',
           "{{model}} in the engine": 'sum by (model) (hexkey_engine_running{model=~"$model"})'}),
    Panel("Wait", "In which time does the engine take up 95 % of requests?", "s",
          {"{{model}}": 'model:hexkey_queue_seconds:p95_5m{model=~"$model"}'}),
    Panel("Batch", "How many requests share one step of the engine, on average?", "short",
          {"{{model}}": f'{_rate("model", "hexkey_engine_batch_size_sum", "model")}'
                        f' / {_rate("model", "hexkey_engine_batch_size_count", "model")}'}),
    Panel("Step", "In which time do half and 95 % of an engine's steps end?", "s",
          {f"{{{{model}}}} p{percent}": f"histogram_quantile(0.{percent}, "
           f'{_rate("model, le", "hexkey_engine_step_seconds_bucket", "model")})'
           for percent in (50, 95)}),
    Panel("KV cache", "Which share of its KV cache do each model's requests hold?", "percentunit",
          {"{{model}}": 'max by (model) (hexkey_engine_kv_usage_ratio{model=~"$model"})'}),
    Panel("Busy", "Which share of the time does each engine compute?", "percentunit",
          _by("model", "hexkey_engine_step_seconds_sum", "model")),
    Panel("Restarts", "How often did each engine start anew since its server started, and why?",
          "short", {"{{model}} {{reason}}":
                    'sum by (model, reason) (hexkey_engine_restarts_total{model=~"$model"})'}),
    Panel("Text in", "How many characters does each model read per second?", "short",
          _by("model", "hexkey_input_characters_total", "model")),
    Panel("Versions", "How many servers of each version are up?", "short",
          {"{{version}}": "count by (version) (hexkey_build_info)"}),
    Panel("Configurations", "Which configuration does each server run, counted from its start?",
          "short", {"{{instance}}": "hexkey_config_generation",
                    "{{instance}} {{result}}": "hexkey_config_reloads_total"}),
))

_COUNTED = 'sum by (task) (increase(hexkey_requests_total{task=~"$task",outcome!~"invalid|cancelled|superseded"}[$__range]))'  # noqa: E501 - a query is read better in one line
_FAILED = 'sum by (task) (increase(hexkey_requests_total{task=~"$task",outcome=~"error|rejected"}[$__range]))'  # noqa: E501 - the same
_CALLS = "Over 14.4 for an hour somebody is called, over 6 for six hours somebody is told."

SLO = Dashboard("hexkey: SLO", "task", "hexkey_requests_total", (
    Panel("Answered in the time shown", "Which share was answered? The objective is 99.9 %.",
          "percentunit", {"{{task}}": f"1 - ({_FAILED} or 0 * {_COUNTED}) / {_COUNTED}"}, "stat"),
    Panel("In time now", "Which share is done in time now? The objective is 99 %.", "percentunit",
          {"{{task}}": '1 - 0.01 * task:hexkey_latency_budget_burn:5m{task=~"$task"}'}, "stat"),
    Panel("Burn of the availability budget",
          f"How many times as often as the objective allows do requests fail? {_CALLS}", "short",
          _burn("availability"), limits=(6, 14.4)),
    Panel("Burn of the latency budget",
          f"How many times as often as the objective allows are requests late? {_CALLS}", "short",
          _burn("latency"), limits=(6, 14.4)),
    Panel("Share that fails", "Which share of each task's requests fails now?", "percentunit",
          {"{{task}}": 'task:hexkey_errors:ratio_rate5m{task=~"$task"}'}),
    Panel("Alerts", "Which alerts are pending or firing, and since when?", "short",
          {"{{alertname}} {{alertstate}}": 'ALERTS{alertname=~"Hexkey.*"}'}, "state-timeline"),
))

_BILL = "sum by (currency) (increase(hexkey_bill_total[$__range]))"
_DEVICE = "sum by (device, state) (rate(hexkey_device_seconds_total[$__rate_interval]))"
_COST_OF = 'rate(hexkey_request_cost_bucket{task=~"$task"}[$__rate_interval])'

COST = Dashboard("hexkey: Cost", "task", "hexkey_requests_total", (
    _stat("Price", "What does an hour of all machines cost?", "short",
          "sum(hexkey_device_price_per_hour)"),
    Panel("Spent in the time shown", "What did the machines cost in the time shown?", "short",
          {"{{currency}}": _BILL}, "stat", 4),
    Panel("Per 1,000 requests", "What do 1,000 requests cost, the whole bill taken?", "short",
          {"{{currency}}": "currency:hexkey_cost_per_thousand_requests:rate1h"}, "stat", 4),
    Panel("Idle", "Which share of the bill pays for machines that wait?", "percentunit",
          {"{{currency}}": "currency:hexkey_idle:ratio_rate1h"}, "stat", 4),
    _stat("Waste", "Which share of the requests' cost was for nothing, in the worst task?",
          "percentunit", 'max(task:hexkey_waste:ratio_rate1h{task=~"$task"})', 0.25, 0.5),
    _stat("Imbalance", "Is every cent in one place? Anything but 0 is a fault of hexkey.", "short",
          "max(abs(hexkey_ledger_imbalance))", 1),
    Panel("Spend by kind", "What do the machines cost per hour, and what do they do for it?",
          "short", {"{{kind}} ({{currency}})": "kind:hexkey_spend_per_hour:rate5m"}, stacked=True),
    Panel("Spend by model", "Which model takes how much per hour, waiting and loading included?",
          "short", {"{{model}} ({{currency}})": "model:hexkey_spend_per_hour:rate5m"},
          stacked=True),
    Panel("Spend by task", "Which task takes how much per hour?", "short",
          {"{{task}} ({{currency}})": 'task:hexkey_spend_per_hour:rate5m{task=~"$task"}'},
          stacked=True),
    Panel("Spend by tenant", "Which ten tenants take the most per hour?", "short",
          {"{{tenant}} ({{currency}})": "topk(10, sum by (currency, tenant) "
           "(rate(hexkey_tenant_cost_total[$__rate_interval]))) * 3600"}, stacked=True),
    Panel("Savings", "What would the same traffic cost elsewhere per hour, less the whole bill?",
          "short", {"{{reference}} ({{currency}})": "reference:hexkey_savings_per_hour:rate1h"},
          signed=True),
    Panel("Waste", "Which outcomes cost money per hour and brought nobody anything?", "short",
          {"{{task}} {{outcome}}": "sum by (task, outcome) (rate(hexkey_task_cost_total"
           '{task=~"$task",outcome!="ok"}[$__rate_interval])) * 3600'}, stacked=True),
    Panel("Cost of a request", "What do half, and 95 %, of each task's requests cost at most?",
          "short", {f"{{{{task}}}} p{percent}": f"histogram_quantile(0.{percent}, "
                    f"sum by (task, le) ({_COST_OF}))" for percent in (50, 95)}),
    Panel("Own cost per 1,000 requests", "What do 1,000 requests cost on each model, no idle time?",
          "short", {"{{task}} {{model}}":
                    'task_model:hexkey_cost_per_thousand_requests:rate1h{task=~"$task"}'}),
    Panel("Own cost per million tokens", "What does a million tokens out of each model cost?",
          "short", {"{{model}}": "model:hexkey_cost_per_million_tokens:rate1h"}),
    Panel("Spend by device", "Which part of the machines takes how much per hour?", "short",
          {"{{device}} ({{currency}})": "sum by (currency, device) "
           "(rate(hexkey_bill_total[$__rate_interval])) * 3600"}, stacked=True),
    Panel("Time of each device", "How much of its time does each device spend, and on what?",
          "percentunit", {"{{device}} {{state}}": f"{_DEVICE} / on (device) group_left () "
                          f"{_DEVICE.replace(', state', '')}"}),
    Panel("Power", "How many watts does each device draw, and for what?", "watt",
          {"{{device}} {{kind}}":
           "sum by (device, kind) (rate(hexkey_energy_joules_total[$__rate_interval]))"},
          stacked=True),
    Panel("In flight", "How much is spent on steps that are not over yet?", "short",
          {"{{instance}} {{device}}": "sum by (instance, device) (hexkey_cost_in_flight)"}),
    Panel("Usage on disk", "How many rows per second go to the usage ledger, and are any lost?",
          "short", {"written": "sum(rate(hexkey_usage_rows_written_total[$__rate_interval]))",
                    "lost": "sum(rate(hexkey_usage_rows_lost_total[$__rate_interval]))",
                    "waiting": "sum(hexkey_usage_rows_waiting)"}),
    Panel("How steps are shared",
          "How many seconds does a step take by itself, per token, per token and context?", "s",
          {"{{model}} {{term}}": "hexkey_attribution_coefficient"}),
))

_SHARE = 'sum by (task, model) (rate(hexkey_requests_total{task=~"$task"}[$__rate_interval]))'

ROUTING = Dashboard("hexkey: Routing", "task", "hexkey_requests_total", (
    Panel("Who serves what", "Which model gets how many of each task's requests per second?",
          "reqps", {"{{task}} → {{model}}": _SHARE}, stacked=True),
    Panel("Shares", "Which share of a task's requests goes to each model?", "percentunit",
          {"{{task}} → {{model}}": f"{_SHARE} / on (task) group_left () "
           'sum by (task) (rate(hexkey_requests_total{task=~"$task"}[$__rate_interval]))'}),
    Panel("Refused", "How many requests find no model or no room, and why?", "reqps",
          {"{{task}} {{reason}}": _rate("task, reason", "hexkey_rejected_total", "task")}),
    Panel("Why this model", "For which reasons do requests go where they go?", "reqps",
          {"{{task}} → {{model}}: {{reason}}":
           _rate("task, model, reason", "hexkey_routed_total", "task")}),
    Panel("Fallbacks", "How many requests leave a model for another one, and why?", "reqps",
          {"{{task}} leaves {{model}}: {{reason}}":
           _rate("task, model, reason", "hexkey_fallbacks_total", "task")}),
    Panel("Without a model", "How many requests end before a model is chosen, and how?", "reqps",
          {"{{task}} {{outcome}}": "sum by (task, outcome) (rate(hexkey_requests_total"
           '{task=~"$task",model="_none"}[$__rate_interval]))'}),
    Panel("What the router compares: cost", "What do 1,000 requests cost on each model?", "short",
          {"{{task}} {{model}}":
           'task_model:hexkey_cost_per_thousand_requests:rate1h{task=~"$task"}'}),
    Panel("What the router compares: time", "In which time do 95 % of requests end, by model?", "s",
          {"{{task}} {{model}}": "histogram_quantile(0.95, sum by (task, model, le) (rate("
           'hexkey_request_duration_seconds_bucket{task=~"$task",outcome="ok"}'
           "[$__rate_interval])))"}),
    Panel("Wait by model", "In which time does each model take up 95 % of its requests?", "s",
          {"{{model}}": "model:hexkey_queue_seconds:p95_5m"}),
    Panel("Under way by model", "How many requests has each model, and how many wait for it?",
          "short", {"{{model}} has": "sum by (model) (hexkey_requests_in_flight)",
                    "{{model}} wait": "sum by (model) (hexkey_queue_requests)"}),
    Panel("Waiting by priority", "How many tokens of input wait for each model, of which class?",
          "short", {"{{model}} {{priority}}":
                    "sum by (model, priority) (hexkey_queue_input_tokens)"}),
    Panel("Failures by model", "Which share of each model's requests fails?", "percentunit",
          {"{{model}}": 'sum by (model) (rate(hexkey_requests_total{task=~"$task",'
           'outcome="error"}[$__rate_interval])) / (sum by (model) '
           '(rate(hexkey_requests_total{task=~"$task"}[$__rate_interval])) > 0)'}),
    Panel("Given up", "How many requests do callers leave, or do deadlines end?", "reqps",
          {"{{task}} {{outcome}}": "sum by (task, outcome) (rate(hexkey_requests_total"
           '{task=~"$task",outcome=~"cancelled|superseded|deadline"}[$__rate_interval]))'}),
    Panel("Time for nobody",
          "How many seconds of a device a second go into answers that nobody waited for?", "short",
          {"{{task}} {{model}} {{outcome}}": "sum by (task, model, outcome) (rate("
           'hexkey_task_device_seconds_total{task=~"$task",outcome=~"superseded|cancelled|deadline"}'
           "[$__rate_interval]))"}, stacked=True),
    Panel("Remembered suggestions", "How many completions of a session need no model?", "reqps",
          {"{{result}}": "sum by (result) (rate(hexkey_suggestions_total[$__rate_interval]))"}),
    Panel("Circuits", "Which models are not trusted after failures, and since when?", "short",
          {"{{model}} {{state}}": "hexkey_circuit_state == 1"}, "state-timeline", GRID),
    Panel("Models that can serve", "Which models does the router have to choose from?", "short",
          {"{{model}}": 'hexkey_model_state{state="ready"}'}, "state-timeline", GRID),
))
# fmt: on

DASHBOARDS = {
    "overview": OVERVIEW,
    "models": MODELS,
    "cost": COST,
    "routing": ROUTING,
    "slo": SLO,
}


def render(name: str) -> str:
    """Return the JSON of one dashboard as it is committed."""
    board = DASHBOARDS[name]
    model = {
        "uid": f"hexkey-{name}",
        "title": board.title,
        "tags": ["hexkey"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [
            {"type": "dashboards", "title": "hexkey", "tags": ["hexkey"], "keepTime": True},
        ],
        "templating": {
            "list": [
                {"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"},
                _variable(board.variable, board.metric),
            ]
        },
        "panels": _placed(board.panels),
    }
    return json.dumps(model, indent=2) + "\n"


def _variable(label: str, metric: str) -> dict[str, Any]:
    query = f"label_values({metric}, {label})"
    return {
        "name": label,
        "label": label.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": "values"},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "sort": 1,
    }


def _placed(panels: tuple[Panel, ...]) -> list[dict[str, Any]]:
    placed: list[dict[str, Any]] = []
    x = y = row = 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > GRID:
            x, y, row = 0, y + row, 0
        height = HEIGHT[panel.kind]
        place = {"x": x, "y": y, "w": panel.width, "h": height}
        placed.append({"id": number, "gridPos": place, **_panel(panel)})
        x, row = x + panel.width, max(row, height)
    return placed


def _panel(panel: Panel) -> dict[str, Any]:
    colours = ("green", "yellow", "red") if len(panel.limits) > 1 else ("green", "red")
    steps: list[dict[str, Any]] = [
        {"color": colour, "value": value}
        for colour, value in zip(colours, (None, *panel.limits), strict=False)
    ]
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        **({} if panel.signed else {"min": 0}),
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.kind == "timeseries" and panel.limits:
        defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
    if panel.stacked:
        defaults["custom"] = {"stacking": {"mode": "normal"}, "fillOpacity": 60, "lineWidth": 0}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.answers,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": query,
                "legendFormat": legend,
                "instant": panel.kind == "stat",
                "range": panel.kind != "stat",
            }
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def main() -> None:
    """Write every dashboard."""
    for name in DASHBOARDS:
        (HERE / "dashboards" / f"{name}.json").write_text(render(name), encoding="utf-8")


if __name__ == "__main__":
    main()
