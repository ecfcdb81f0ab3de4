"""The dashboards are what their table says, and every query in them can be answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.grafana import build

from tests.deploy.conftest import DEPLOY, promtool
from tests.deploy.queries import exported, named, recorded

FOLDER = DEPLOY / "grafana" / "dashboards"
BOARDS = sorted(build.DASHBOARDS)


def committed(name: str) -> dict[str, Any]:
    board: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return board


def queries(name: str) -> list[str]:
    return [one["expr"] for panel in committed(name)["panels"] for one in panel["targets"]]


def test_what_is_committed_is_what_the_table_says() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == BOARDS
    for name in BOARDS:
        text = (FOLDER / f"{name}.json").read_text()
        assert text == build.render(name), "run deploy/grafana/build.py"
    assert len({committed(name)["uid"] for name in BOARDS}) == len(BOARDS)


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_says_what_it_answers_and_has_its_own_place(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in committed(name)["panels"]:
        assert "?" in panel["description"], panel["title"]
        place = panel["gridPos"]
        columns = range(place["x"], place["x"] + place["w"])
        rows = range(place["y"], place["y"] + place["h"])
        cells = {(column, row) for column in columns for row in rows}
        assert columns.stop <= build.GRID
        assert not cells & taken
        taken |= cells


@pytest.mark.parametrize("name", BOARDS)
def test_every_query_asks_for_what_is_exported_or_recorded(name: str) -> None:
    for query in queries(name):
        names = named(query)
        assert names or query.startswith("ALERTS{")
        assert names <= exported() | recorded(), query
    assert build.DASHBOARDS[name].metric in exported()


def test_every_metric_and_every_recorded_series_can_be_seen_or_is_used() -> None:
    text = "\n".join(query for name in BOARDS for query in queries(name))
    text += (DEPLOY / "prometheus" / "alerts.yml").read_text()
    assert recorded() <= named(text)


def test_every_query_is_promql(tmp_path: Path) -> None:
    windows = {"$__rate_interval": "1m", "$__range": "1h"}
    found: list[dict[str, str]] = []
    for name in BOARDS:
        for query in queries(name):
            for variable, window in windows.items():
                query = query.replace(variable, window)  # noqa: PLW2901 - one after the other
            found.append({"record": f"query:{len(found)}", "expr": query})
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": found}]}))
    assert f"{len(found)} rules found" in promtool("check", "rules", file)
