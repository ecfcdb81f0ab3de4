"""``hexkey route`` asks what every task takes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hexkey import cli
from hexkey.types import Task

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
