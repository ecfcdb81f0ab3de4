"""The folder of usage: for its owner only, a file a day, nothing twice, old days gone."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from hexkey.usage.report import totals
from hexkey.usage.store import files
from tests.unit.usage.rows import DAY_US, NOON_US, ids, row, store


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "usage"
    before = os.umask(0)
    try:
        made = store(folder)
        made.write([("a", row())])
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert modes == dict.fromkeys(modes, 0o600)
        assert {"ballast", "usage-2026-11-25.sqlite", "usage-2026-11-25.sqlite-wal"} <= set(modes)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        made.close()
    finally:
        os.umask(before)


def test_a_row_written_twice_is_there_once(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.write([("a", row()), ("b", row())])
    made.write([("b", row()), ("c", row())])
    made.close()
    assert ids(tmp_path) == ["a", "b", "c"]


def test_each_day_has_its_file(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.write([("a", row(at_us=NOON_US)), ("b", row(at_us=NOON_US + DAY_US))])
    made.close()
    assert [day for day, _ in files(tmp_path)] == [date(2026, 11, 25), date(2026, 11, 26)]
    assert ids(tmp_path) == ["a", "b"]


def test_days_go_when_they_are_old_and_todays_stays(tmp_path: Path) -> None:
    made = store(tmp_path, keep_days=2)
    for back in (5, 2, 1, 0):
        made.write([(f"{back}", row(at_us=NOON_US - back * DAY_US))])
    assert ids(tmp_path) == ["1", "0"]
    made.close()
    small = store(tmp_path, max_bytes=1)
    small.write([("today", row())])
    small.close()
    assert ids(tmp_path) == ["0", "today"]


def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "usage-2026-11-25.sqlite"
    path.write_bytes(b"no database at all " * 1000)
    made = store(tmp_path)
    with pytest.raises(Exception, match="not a database"):
        made.write([("a", row())])
    made.close()
    made.write([("a", row())])
    made.close()
    assert ids(tmp_path) == ["a"]
    assert [one.name for one in tmp_path.glob("*.broken-*")]


def test_one_row_from_a_clock_that_jumped_removes_nothing(tmp_path: Path) -> None:
    made = store(tmp_path, keep_days=2)
    for days in (0, 1, 800, 2):
        made.write([(f"{days}", row(at_us=NOON_US + days * DAY_US))])
    made.close()
    assert ids(tmp_path) == ["1", "2", "800"]


def test_what_was_set_aside_goes_with_its_day(tmp_path: Path) -> None:
    (tmp_path / "usage-2026-11-20.sqlite-wal.broken-1").write_bytes(b"broken")
    (tmp_path / "usage-2026-11-25.sqlite.broken-2").write_bytes(b"broken")
    made = store(tmp_path, keep_days=3)
    for days in (0, 1):
        made.write([(f"{days}", row(at_us=NOON_US + days * DAY_US))])
    made.close()
    assert [one.name for one in tmp_path.glob("*.broken-*")] == ["usage-2026-11-25.sqlite.broken-2"]
    assert ids(tmp_path) == ["0", "1"]


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        store(tmp_path / "file")


def test_other_peoples_files_are_left_alone(tmp_path: Path) -> None:
    for name in ("usage-notes.sqlite", "notes.txt"):
        (tmp_path / name).write_text("mine")
    made = store(tmp_path, keep_days=1)
    made.write([("a", row())])
    made.close()
    assert {"usage-notes.sqlite", "notes.txt"} <= {one.name for one in tmp_path.iterdir()}
    (tmp_path / "usage-notes.sqlite").unlink()
    assert ids(tmp_path) == ["a"]


def test_a_file_of_before_there_were_devices_is_read_and_written_on(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.write([("old", row(cost_pico=1))])
    made.close()
    (_, path), *_ = files(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE usage DROP COLUMN device")
    every: dict[str, Any] = {"since_us": NOON_US, "until_us": NOON_US + 1}
    assert [key.values for key in totals(tmp_path, ("device",), **every)] == [("machine",)]
    made.write([("new", row(cost_pico=2, device="gpu0"))])
    made.close()
    by_device = {
        key.values[0]: one.cost_pico for key, one in totals(tmp_path, ("device",), **every).items()
    }
    assert by_device == {"machine": 1, "gpu0": 2}
    assert ids(tmp_path) == ["new", "old"]
