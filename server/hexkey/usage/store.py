"""A folder of usage: one SQLite file a day (UTC), so that an old day can go without a DELETE.

A full disk refuses even a DELETE; a file can always be unlinked.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, get_type_hints

from hexkey.usage.ballast import Ballast
from hexkey.usage.row import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BUSY_S = 5.0
CHECKPOINT_PAGES = 128
"""Bounds the write-ahead log to about half a MiB beside each file."""
_PREFIX, _SUFFIX = "usage-", ".sqlite"
_BROKEN_MARK = ".broken-"
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_KINDS = {name: "TEXT" if kind is str else "INTEGER" for name, kind in get_type_hints(Row).items()}
_COLUMNS = ", ".join(f"{name} {kind}" for name, kind in _KINDS.items())
_SCHEMA = f"CREATE TABLE IF NOT EXISTS usage (id TEXT PRIMARY KEY, {_COLUMNS}) WITHOUT ROWID"
_PLACES = ", ".join("?" * (len(Row._fields) + 1))
_INSERT = f"INSERT OR IGNORE INTO usage (id, {', '.join(_KINDS)}) VALUES ({_PLACES})"  # noqa: S608 - names

Entry = tuple[str, Row]
"""A row under its unique id. Writing one twice, as a retry may, changes nothing."""


def day_of(at_us: int) -> date:
    """Return the UTC day of an instant."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).date()


def lacking(connection: sqlite3.Connection) -> list[str]:
    """Return the columns that a file of an older version has not; each has a default in ``Row``."""
    there = {name for _, name, *_ in connection.execute("PRAGMA table_info(usage)")}
    return [name for name in Row._fields if name not in there]


def files(folder: Path) -> Iterator[tuple[date, Path]]:
    """Yield the files of a folder with their days, oldest first."""
    for path in sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}")):
        with contextlib.suppress(ValueError):
            yield date.fromisoformat(path.name[len(_PREFIX) : -len(_SUFFIX)]), path


class Store:
    """Writes rows to one folder; for one thread. Files are for their owner only.

    Days older than ``keep_days`` go when a new day begins, and the oldest ones while all together
    take more than ``max_bytes``; today's stays in any case. A day long after the last one is not
    believed to have come before the next one has: one row from a clock that jumped removes nothing.
    """

    def __init__(self, folder: Path, *, keep_days: int, max_bytes: int) -> None:
        self._folder = folder
        self._keep_days = keep_days
        self._max_bytes = max_bytes
        self._day: date | None = None
        self._connection: sqlite3.Connection | None = None
        self.ballast = Ballast(folder / "ballast")

    def prepare(self) -> None:
        """Make the folder; ``OSError`` where it cannot be one to write to."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise PermissionError(f"usage.folder: {self._folder} cannot be written to")
        self.ballast.hold()

    def write(self, entries: Sequence[Entry]) -> None:
        """Put rows on disk; when this returns they outlive a crash and a loss of power.

        Raises ``sqlite3.Error`` or ``OSError`` where that fails; some of them may be there then.
        """
        for day, some in groupby(entries, lambda entry: day_of(entry[1].at_us)):
            connection = self._opened(day)
            with self._setting_aside_what_is_broken(day), connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(_INSERT, [(name, *row) for name, row in some])

    def close(self) -> None:
        """Close the file; the next write opens it anew."""
        connection, self._connection, self._day = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def expire(self, today: date) -> None:
        """Remove the days that are not to be kept."""
        found = sorted([*files(self._folder), *_set_aside(self._folder)])
        kept = [(day, path, path.stat().st_size) for day, path in found]
        total = sum(size for _, _, size in kept)
        last = max((day for day, _ in found if day < today), default=today)
        believed = min(today, last + timedelta(days=1))
        oldest = believed - timedelta(days=self._keep_days)
        for day, path, size in kept:
            if day < today and (day <= oldest or total > self._max_bytes):
                total -= size
                for one in _with_companions(path):
                    # What cannot be removed must not keep new rows from being written.
                    with contextlib.suppress(OSError):
                        one.unlink()

    def _opened(self, day: date) -> sqlite3.Connection:
        if self._connection is not None and day == self._day:
            return self._connection
        self.close()
        path = self._path(day)
        # SQLite gives its companions the permissions of the file itself.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        try:
            with self._setting_aside_what_is_broken(day):
                connection.execute("PRAGMA journal_mode=WAL")
                # One sync a batch, so rows outlive a loss of power at no cost to speak of.
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
                connection.execute(_SCHEMA)
                for name in lacking(connection):
                    default = Row._field_defaults[name]
                    connection.execute(
                        f"ALTER TABLE usage ADD COLUMN {name} {_KINDS[name]} DEFAULT '{default}'"
                    )
        except BaseException:
            connection.close()
            raise
        self._connection, self._day = connection, day
        self.expire(day)
        return connection

    def _path(self, day: date) -> Path:
        return self._folder / f"{_PREFIX}{day}{_SUFFIX}"

    @contextlib.contextmanager
    def _setting_aside_what_is_broken(self, day: date) -> Iterator[None]:
        """Rename a file that is no database, so that the next try finds a place to write to."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN:
                for one in _with_companions(self._path(day)):
                    if one.exists():
                        one.rename(f"{one}{_BROKEN_MARK}{time.time_ns()}")
            raise


def _set_aside(folder: Path) -> Iterator[tuple[date, Path]]:
    for path in folder.glob(f"{_PREFIX}*{_SUFFIX}*{_BROKEN_MARK}*"):
        with contextlib.suppress(ValueError):
            yield date.fromisoformat(path.name.removeprefix(_PREFIX).partition(_SUFFIX)[0]), path


def _with_companions(path: Path) -> tuple[Path, ...]:
    return path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
