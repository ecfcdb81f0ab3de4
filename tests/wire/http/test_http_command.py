"""``hexkey route`` asks what every task takes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hexkey import cli
from hexkey.config import CostConfig
from hexkey.types import Task
from tests.wire.http.http_house import open_house

if TYPE_CHECKING:
    from tests.wire.http.http_house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("task", list(Task))
async def test_a_route_is_told_for_every_task(
    house: House, task: Task, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["route", task.value, "--server", house.url]
    if task is Task.TRANSLATE:
        asked += ["--source", "en", "--target", "pt"]
    assert await asyncio.to_thread(cli.main, asked) == 0
    assert capsys.readouterr().out.startswith("1. ")


async def test_a_server_that_tells_no_costs_tells_no_work(
    capfd: pytest.CaptureFixture[str],  # what hosts say goes to a file of the system's
) -> None:
    async with open_house(cost=CostConfig(expose="none")) as house:
        asked = ["route", "rerank", "--server", house.url]
        assert await asyncio.to_thread(cli.main, asked) == 0
    rows = [line.split() for line in capfd.readouterr().out.splitlines()]
    assert ["reader", "yes", "-", "-", "can", "serve", "this"] in rows
