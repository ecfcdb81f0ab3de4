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
    """One question. ``queries`` maps a legend to PromQL; ``limits`` colour yellow and red."""

    title: str
    answers: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"
    width: int = 12
    limits: tuple[float, ...] = ()


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
    Panel("Busy", "Which share of the time does each engine compute?", "percentunit",
          _by("model", "hexkey_engine_step_seconds_sum", "model")),
    Panel("Restarts", "How often did each engine start anew since its server started, and why?",
          "short", {"{{model}} {{reason}}":
                    'sum by (model, reason) (hexkey_engine_restarts_total{model=~"$model"})'}),
    Panel("Text in", "How many characters does each model read per second?", "short",
          _by("model", "hexkey_input_characters_total", "model")),
    Panel("Versions", "How many servers of each version are up?", "short",
          {"{{version}}": "count by (version) (hexkey_build_info)"}),
))

_COUNTED = 'sum by (task) (increase(hexkey_requests_total{task=~"$task",outcome!~"invalid|cancelled"}[$__range]))'  # noqa: E501 - a query is read better in one line
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
# fmt: on

DASHBOARDS = {"overview": OVERVIEW, "models": MODELS, "slo": SLO}


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
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.kind == "timeseries" and panel.limits:
        defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
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
