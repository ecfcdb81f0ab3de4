"""The writer's thread: all rows in order, bounded, and never in the way of who puts them."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import cast

from structlog.testing import capture_logs

from hexkey.usage.store import Store
from hexkey.usage.writer import BATCH, Writer
from tests.unit.usage.rows import ids, now_row, store
from tests.waiting import until


class StuckStore:
    """Writes nothing until it is let go; then remembers how many rows came at a time."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.batches: list[int] = []
        self.ballast = self
        self.held = 0

    def prepare(self) -> None: ...

    def hold(self) -> None: ...

    def close(self) -> None: ...

    def write(self, entries: list[object]) -> None:
        if not self.go.is_set():
            raise sqlite3.OperationalError("database or disk is full")
        self.batches.append(len(entries))


def test_every_row_is_written_once_and_in_order(tmp_path: Path) -> None:
    writer = Writer(store(tmp_path))
    writer.start()
    for number in range(1000):
        writer.put(now_row())
        if number % 100 == 0:
            time.sleep(0.01)
    writer.close()
    found = ids(tmp_path)
    assert len(found) == writer.written == 1000
    assert [int(one.rpartition("-")[2]) for one in found] == list(range(1000))
    assert (writer.lost, writer.waiting) == (0, 0)


def test_a_stop_before_the_thread_has_begun_leaves_nothing_behind(tmp_path: Path) -> None:
    writer = Writer(store(tmp_path))
    writer.put(now_row())
    writer._stopping.set()
    writer.start()
    writer.close()
    assert (writer.written, writer.lost) == (1, 0)
    assert len(ids(tmp_path)) == 1


def test_a_row_alone_does_not_wait_for_others(tmp_path: Path) -> None:
    writer = Writer(store(tmp_path))
    writer.start()
    for count in (1, 2, 3):
        writer.put(now_row())
        until(lambda count=count: writer.written == count)  # type: ignore[misc]
        assert len(ids(tmp_path)) == count
    writer.close()


def test_rows_wait_for_the_disk_and_what_is_too_much_is_counted() -> None:
    stuck = StuckStore()
    writer = Writer(cast("Store", stuck), capacity=500, retry_s=0.01)
    with capture_logs() as logs:
        writer.start()
        begun = time.monotonic()
        for _ in range(2000):
            writer.put(now_row())
        assert time.monotonic() - begun < 10, "putting waited for the disk"
        until(lambda: writer.failing)
        # One batch may have been taken out before the queue was full.
        assert 2000 - 500 - BATCH <= writer.lost <= 2000 - 500
        lost = writer.lost
        stuck.go.set()
        until(lambda: writer.written == 2000 - lost)
        assert not writer.failing
        writer.close()
    assert writer.lost == lost
    assert max(stuck.batches) <= BATCH
    told = [line["event"] for line in logs]
    assert told == [
        "the usage ledger cannot be written; rows wait",
        "the usage ledger is written again",
    ]


def test_a_stop_does_not_wait_for_a_disk_that_takes_nothing() -> None:
    writer = Writer(cast("Store", StuckStore()), retry_s=30)
    writer.start()
    for _ in range(10):
        writer.put(now_row())
    until(lambda: writer.failing)
    with capture_logs():
        writer.close()
    assert (writer.written, writer.lost) == (0, 10)


def test_a_row_that_no_database_takes_does_not_stop_the_others(tmp_path: Path) -> None:
    writer = Writer(store(tmp_path))
    writer.start()
    with capture_logs():
        for bad in (False, True, False, False, True):
            writer.put(now_row(cost_pico=1 << 70 if bad else 1))
        until(lambda: writer.lost == 2)
    until(lambda: writer.written == 3)
    writer.put(now_row())
    until(lambda: writer.written == 4)
    writer.close()
    assert len(ids(tmp_path)) == 4


def test_a_ledger_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    folder = tmp_path / "usage"
    writer = Writer(store(folder), retry_s=0.01)
    writer.start()
    writer.put(now_row())
    until(lambda: writer.written == 1)
    with capture_logs():
        folder.rename(tmp_path / "moved")
        folder.mkdir()
        # The open file still takes rows; a new day, or a new start, makes a new one.
        writer.put(now_row())
        until(lambda: writer.written + writer.lost == 2)
        writer.close()
    again = Writer(store(folder))
    again.start()
    again.put(now_row())
    again.close()
    assert len(ids(folder)) == 1
    assert len(ids(tmp_path / "moved")) == 2
