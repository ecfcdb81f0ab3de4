"""The thread between the server and the usage ledger: the event loop never waits for a disk.

A row that was put is on disk within ``WINDOW_S`` and one commit. A crash loses what is younger and
nothing else. Where the disk takes nothing, rows wait; what finds ``CAPACITY`` of them waiting is
lost and counted, and writing resumes by itself.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from hexkey.usage.row import Row
    from hexkey.usage.store import Entry, Store

WINDOW_S = 0.05
BATCH = 200
CAPACITY = 20_000
RETRY_S = 1.0
REBALLAST_S = 60.0
STOP_S = 5.0

log = structlog.get_logger("hexkey.usage")


class Writer:
    """Puts rows into a store, in batches. ``put`` is for one thread and takes 0.1 µs.

    ``written`` and ``lost`` count rows; ``failing`` says that the last write did not succeed.
    """

    def __init__(self, store: Store, *, capacity: int = CAPACITY, retry_s: float = RETRY_S) -> None:
        self.written = 0
        self.lost = 0
        self.failing = False
        self._store = store
        self._capacity = capacity
        self._retry_s = retry_s
        self._rows: deque[Row] = deque()
        self._batch: list[Entry] = []
        self._at_once = BATCH
        # Ids grow, so that rows are appended to the index; a start's random part keeps two servers
        # on one folder apart.
        self._launch = f"{time.time_ns():016x}{secrets.token_hex(4)}"
        self._next = 0
        self._some = threading.Event()
        self._many = threading.Event()
        self._stopping = threading.Event()
        self._weighed = 0.0
        self._thread = threading.Thread(target=self._run, name="usage-writer", daemon=True)

    def start(self) -> None:
        """Begin to write; ``OSError`` where the folder cannot be written to."""
        self._store.prepare()
        self._thread.start()

    def put(self, row: Row) -> None:
        """Have a row written, or count it as lost where too many wait."""
        rows = self._rows
        if len(rows) >= self._capacity:
            self.lost += 1
            return
        rows.append(row)
        # Counted after the row is in: either the thread still has to look, or this is the first.
        waiting = len(rows)
        if waiting == 1:
            self._some.set()
        elif waiting == BATCH:
            self._many.set()

    @property
    def waiting(self) -> int:
        """Rows that are not on disk yet."""
        return len(self._rows) + len(self._batch)

    def close(self) -> None:
        """Write what waits, for at most ``STOP_S`` seconds; what is left is lost."""
        self._stopping.set()
        self._some.set()
        self._many.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)
        left = self.waiting
        if left:
            self.lost += left
            log.error("usage rows were lost at the stop", rows=left)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            self._some.wait()
            self._some.clear()
            self._many.wait(WINDOW_S)
            self._many.clear()
            # Asked before the rows are looked at, so that a stop leaves none behind.
            stopping = self._stopping.is_set()
            while (self._rows or self._batch) and self._write():
                pass
        self._store.close()

    def _write(self) -> bool:
        """Write one batch; False where it failed and the server stops."""
        rows, batch = self._rows, self._batch
        while rows and len(batch) < self._at_once == BATCH:
            batch.append((f"{self._launch}-{self._next:012d}", rows.popleft()))
            self._next += 1
        some = batch[: self._at_once]
        try:
            self._store.write(some)
        except (sqlite3.Error, OSError) as error:
            return self._failed(error)
        except (ValueError, OverflowError) as error:
            # One of them no try will ever write: one by one it is found, and nothing else is lost.
            if len(some) > 1:
                self._at_once = 1
                return True
            self.lost += 1
            log.error("a usage row cannot be written", why=type(error).__name__)
        else:
            self.written += len(some)
        del batch[: len(some)]
        if not batch:
            self._at_once = BATCH
        if self.failing:
            self.failing = False
            log.warning("the usage ledger is written again", rows_lost=self.lost)
        if time.monotonic() - self._weighed > REBALLAST_S:
            self._weighed = time.monotonic()
            self._store.ballast.hold()
        return True

    def _failed(self, error: Exception) -> bool:
        if not self.failing:
            self.failing = True
            log.error("the usage ledger cannot be written; rows wait", why=str(error))
        # A file that was removed or set aside is opened anew.
        self._store.close()
        if self._store.ballast.held:
            self._store.ballast.release()
            self._weighed = time.monotonic()
            return True
        return not self._stopping.wait(self._retry_s)
