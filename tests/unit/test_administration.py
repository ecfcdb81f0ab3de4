"""A reload tells what it took in, and what of the file waits for a restart."""

from __future__ import annotations

from unittest.mock import AsyncMock, Mock

import pytest

from hexkey.administration import Administration
from hexkey.config import parse_config
from hexkey.metrics import Metrics

MODELS = "models: [{name: m, engine: fake, tasks: [chat]}]\n"
LIVE = """
access: {tenants: [{name: acme, concurrent: 2}]}
limits: {max_characters: 1000, cold_start_s: 5}
autocomplete: {debounce_ms: 5}
routing: {pivot: false}
"""
WAITING = """
access: {keys: "on", file: /keys.json, origins: ["https://a.example"]}
limits: {max_body_bytes: 1000, stop_grace_s: 5, memory_gib: 1, max_characters: 1000}
usage: {keep_days: 5}
"""


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        ("", []),
        (LIVE, []),
        (
            WAITING,
            [
                "limits.max_body_bytes",
                "limits.stop_grace_s",
                "limits.memory_gib",
                "access.keys",
                "access.file",
                "access.origins",
                "usage",
            ],
        ),
    ],
)
async def test_a_reload_says_what_it_could_not_take_in(text: str, waits: list[str]) -> None:
    applied = Mock()
    before, now = (parse_config((MODELS + one).encode()) for one in ("", text))
    pool = Mock(replace=AsyncMock())
    administration = Administration(before, pool, Metrics(), applied, lambda: now)
    reloaded = await administration.reload()
    assert reloaded.restart_needed == waits
    applied.assert_called_once_with(now, {})
