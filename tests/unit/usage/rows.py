"""Rows to write, and what a folder holds."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from hexkey.usage.row import Row
from hexkey.usage.store import Store, files

DAY_US = 86_400 * 10**6
NOON_US = 1_795_608_000 * 10**6  # 2026-11-25 12:00 UTC


def row(**changes: Any) -> Row:
    plain = Row(
        at_us=NOON_US,
        request_id="r",
        protocol="http",
        tenant="acme",
        task="translate",
        model="en-pt",
        outcome="ok",
        code="ok",
        duration_us=20_000,
        queue_us=1_000,
        first_us=15_000,
        input_tokens=10,
        output_tokens=12,
        cached_tokens=0,
        input_characters=40,
        audio_ms=1500,
        device_ns=15_000_000,
        cost_pico=1_500_000,
        energy_uj=300_000,
        currency="EUR",
    )
    return plain._replace(**changes)


def now_row(**changes: Any) -> Row:
    return row(at_us=time.time_ns() // 1000, **changes)


def store(folder: Path, *, keep_days: int = 400, max_bytes: int = 1 << 30) -> Store:
    made = Store(folder, keep_days=keep_days, max_bytes=max_bytes)
    made.prepare()
    return made


def ids(folder: Path) -> list[str]:
    """The ids of all rows, after a look at whether the files are sound."""
    found: list[str] = []
    for _, path in files(folder):
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            found += [one for (one,) in connection.execute("SELECT id FROM usage ORDER BY id")]
    return found
