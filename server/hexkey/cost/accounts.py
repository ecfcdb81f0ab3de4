"""Who the active cost belongs to: one account per request, one line per kind of settled request.

A row holds one amount per unit. A model's steps name requests by its host's ids; ``rows`` maps each
to the row that the request's next cost goes to. Memory is bounded: open requests, the last
``MAX_FINISHED`` finished ones whose host may still name them, and ``MAX_LINES`` lines, beyond which
tenants are counted together as ``_other``.
"""

from __future__ import annotations

from collections import deque

from hexkey.cost.statement import Group, Settled

Row = list[int]

LATE = "late"
"""Outcome of what a request cost after it was finished: in no answer, and so always waste."""
OTHER = "_other"
MAX_LINES = 4096
MAX_FINISHED = 1024


class Account:
    """One request on one device; ``row`` is what it cost so far, by unit."""

    __slots__ = ("finished", "group", "key", "model", "row", "slot")

    def __init__(self, slot: str, model: str, group: Group, units: int) -> None:
        self.slot = slot
        self.model = model
        self.group = group
        self.row: Row = [0] * units
        self.key: int | None = None
        self.finished = False


class Requests:
    """What one host's reports may name."""

    __slots__ = ("_finished", "rows")

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self._finished: deque[int] = deque()

    def finish(self, account: Account, late: Row) -> None:
        """Send what else the request costs to ``late``."""
        key = account.key
        # After a restart the key may be another request's.
        if key is None or self.rows.get(key) is not account.row:
            return
        self.rows[key] = late
        self._finished.append(key)
        if len(self._finished) > MAX_FINISHED:
            self.rows.pop(self._finished.popleft(), None)

    def forget_finished(self) -> None:
        """The host is idle: it will not name them again."""
        for key in self._finished:
            self.rows.pop(key, None)
        self._finished.clear()

    def clear(self) -> None:
        """The host is gone; the next one counts from 1 again."""
        self.rows.clear()
        self._finished.clear()


class Accounts:
    """The open accounts and the lines of settled ones, for all models of a device."""

    def __init__(self, units: int) -> None:
        self._units = units
        self._open: set[Account] = set()
        self._settled: dict[Settled, Row] = {}

    def open(self, slot: str, model: str, group: Group) -> Account:
        """Return a new request's account."""
        account = Account(slot, model, group, self._units)
        self._open.add(account)
        return account

    def settle(self, account: Account, outcome: str) -> None:
        """Fold an account into its line; a second time changes nothing."""
        if account in self._open:
            self._open.remove(account)
            add(self.line(account, outcome), account.row)

    def line(self, account: Account, outcome: str) -> Row:
        """Return the row of settled requests like this one."""
        line = Settled(account.model, account.group, outcome)
        if line not in self._settled and len(self._settled) >= MAX_LINES:
            line = line._replace(group=Group(account.group.task, OTHER))
        return self._settled.setdefault(line, [0] * self._units)

    def settled(self, column: int) -> dict[Settled, int]:
        """Return one unit's lines."""
        return {line: row[column] for line, row in self._settled.items()}

    def lines(self) -> list[tuple[Settled, Row]]:
        """Return every line with its amounts of all units."""
        return [(line, row.copy()) for line, row in self._settled.items()]

    def active(self, column: int) -> dict[str, int]:
        """Return by model what requests cost, settled or not."""
        sums: dict[str, int] = {}
        for (model, _, _), row in self._settled.items():
            sums[model] = sums.get(model, 0) + row[column]
        for account in self._open:
            sums[account.model] = sums.get(account.model, 0) + account.row[column]
        return sums


def add(row: Row, more: Row) -> None:
    """Add one row to another."""
    for column, amount in enumerate(more):
        row[column] += amount
