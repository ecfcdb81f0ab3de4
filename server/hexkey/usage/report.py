"""Sums over the usage ledger, exact: every row of the time asked for is in exactly one line."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

from hexkey.usage.row import Row
from hexkey.usage.store import day_of, files, lacking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

PICO = 10**12
DAY = "day"
KEYS = ("tenant", "task", "model", "device", "outcome", "protocol", DAY)
"""What lines can be told apart by; the currency always is."""
_DAY_SQL = "strftime('%Y-%m-%d', at_us / 1000000, 'unixepoch')"
# Money is summed in two parts, since whole pico-units of a big bill are more than SQLite can add.
_SUMS = {
    "requests": "count(*) FILTER (WHERE protocol <> '')",
    "input_tokens": "sum(input_tokens)",
    "output_tokens": "sum(output_tokens)",
    "cached_tokens": "sum(cached_tokens)",
    "input_characters": "sum(input_characters)",
    "audio_ms": "sum(audio_ms)",
    "device_ns": "sum(device_ns)",
    "cost_whole": f"sum(cost_pico / {PICO})",
    "cost_pico": f"sum(cost_pico % {PICO})",
    "energy_uj": "sum(energy_uj)",
}


@dataclass(slots=True)
class Amounts:
    """What a line adds up to."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    input_characters: int = 0
    audio_ms: int = 0
    device_ns: int = 0
    cost_pico: int = 0
    energy_uj: int = 0

    def add(self, other: Amounts) -> None:
        """Add another line's amounts."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


class Key(NamedTuple):
    """What a line is about: the values of what was asked for, in that order."""

    values: tuple[str, ...]
    currency: str


def totals(
    folder: Path,
    by: Sequence[str],
    *,
    since_us: int,
    until_us: int,
    unread: Callable[[OSError], None] | None = None,
) -> dict[Key, Amounts]:
    """Return the sums by ``by`` (of ``KEYS``) from ``since_us`` until before ``until_us``.

    The dearest line comes first. Where a file cannot be read ``unread`` is told and its rows are
    missing; without it ``OSError`` is raised.
    """
    found: dict[Key, Amounts] = {}
    first, last = day_of(since_us), day_of(until_us)
    for day, path in files(folder):
        if not first <= day <= last:
            continue
        try:
            _add(found, path, by, (since_us, until_us))
        except sqlite3.Error as error:
            cannot = OSError(f"{path} cannot be read: {error}")
            if unread is None:
                raise cannot from None
            unread(cannot)
    return dict(sorted(found.items(), key=lambda line: (-line[1].cost_pico, line[0])))


def total(lines: Iterable[Amounts]) -> Amounts:
    """Return the sum of lines."""
    amounts = Amounts()
    for one in lines:
        amounts.add(one)
    return amounts


def _add(
    found: dict[Key, Amounts], path: Path, by: Sequence[str], between: tuple[int, int]
) -> None:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'usage'").fetchone():
            return  # Its writer was stopped before it had written anything.
        known = {DAY: _DAY_SQL}
        known |= {name: f"'{Row._field_defaults[name]}'" for name in lacking(connection)}
        columns = ", ".join(known.get(one, one) for one in (*by, "currency"))
        query = (
            f"SELECT {columns}, {', '.join(_SUMS.values())} "  # noqa: S608 - KEYS
            "FROM usage WHERE at_us >= ? AND at_us < ? "
            f"GROUP BY {', '.join(map(str, range(1, len(by) + 2)))}"
        )
        for line in connection.execute(query, between):
            *values, currency = line[: len(by) + 1]
            sums = dict(zip(_SUMS, line[len(by) + 1 :], strict=True))
            sums["cost_pico"] += PICO * sums.pop("cost_whole")
            found.setdefault(Key(tuple(values), currency), Amounts()).add(Amounts(**sums))
