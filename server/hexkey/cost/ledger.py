"""One device's ledger: events in, and every cent of the device's bill in exactly one place.

Units run side by side: the ledger reads one meter per unit (money, energy, time) and books the
same shares of each. A step's part of the ``timeline`` is in flight until its report tells which
requests it was for; then they share it (``attribution``).

**Late and out of order.** Time here never runs backwards: what is said to have happened before the
last booked instant counts as happening at that instant, and ``clipped_ns`` adds up by how much. A
report therefore never changes what was booked, an answer's cost is final when it is given, and the
same events in the same order give the same books. A report that is late by d moves at most d's
price, to this step of the model from its next one or from another model. See ADR 0004.

Per unit, at every instant, in integers::

    bill = active + idle + load + overhead + in flight + unallocated + adjustment

Events name configured models; they are never refused, however odd, since a ledger that raises
would stop the serving that it watches. All methods may be called from several threads.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from hexkey.cost.accounts import LATE, Accounts, Requests
from hexkey.cost.attribution import Fit, weigh
from hexkey.cost.statement import ModelLine, Statement
from hexkey.cost.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hexkey.cost.accounts import Account
    from hexkey.cost.attribution import Coefficients, Computed
    from hexkey.cost.statement import Group
    from hexkey.cost.timeline import Meter


class Ledger:
    """The books of one device from ``start_ns`` on; see ``Timeline`` for the arguments."""

    def __init__(
        self, meters: Mapping[str, Meter], models: Iterable[str], *, memory: int, start_ns: int
    ) -> None:
        self.units = tuple(meters)
        self._timeline = Timeline(meters, models, memory=memory, start_ns=start_ns)
        self._fits = {model: Fit() for model in self._timeline.books}
        self._requests = {model: Requests() for model in self._timeline.books}
        self._accounts = Accounts(len(self.units))
        self._lock = Lock()

    def begin_load(self, model: str, at_ns: int) -> None:
        """A model's host begins to load."""
        with self._lock:
            self._timeline.advance(at_ns)
            self._timeline.open_load(model)

    def end_load(self, model: str, at_ns: int, reserved: int) -> None:
        """The model serves and holds so many bytes of the device's memory."""
        with self._lock:
            self._timeline.advance(at_ns)
            self._timeline.close(model)
            self._timeline.books[model].reserved = reserved

    def lost(self, model: str, at_ns: int) -> None:
        """The host ended, in whatever state; an open step's cost is overhead, its memory free.

        What is in flight reached no request: which ones it was for nobody lived to tell.
        """
        with self._lock:
            self._timeline.advance(at_ns)
            self._timeline.close(model)
            self._timeline.books[model].reserved = 0
            self._requests[model].clear()

    def open_step(self, model: str, at_ns: int) -> None:
        """An idle model has work from now on; one that computes already goes on."""
        with self._lock:
            # Booking for nothing would only clip a report that is on its way.
            if not self._timeline.is_open(model):
                self._timeline.advance(at_ns)
                self._timeline.open_step(model)

    def close_step(
        self,
        model: str,
        done_ns: int,
        duration_ns: int,
        computed: Sequence[Computed],
        *,
        more: bool,
    ) -> None:
        """A step's report came; with ``more`` the next step has begun, else the model is idle.

        The step gets all that is in flight for its model. Where nothing was computed and nothing
        more will be (the last request was cancelled), that is overhead.
        """
        with self._lock:
            self._timeline.advance(done_ns)
            if computed:
                self._charge(model, computed)
                self._fits[model].observe(duration_ns, computed)
            if more:
                self._timeline.open_step(model)
            else:
                self._timeline.close(model)
                self._requests[model].forget_finished()

    def advance(self, at_ns: int) -> int:
        """Book up to an instant; returns the last one booked, which may be later."""
        with self._lock:
            self._timeline.advance(at_ns)
            return self._timeline.at_ns

    def adjust(self, unit: str, amount: int) -> None:
        """Correct the bill by hand (an invoice differs, say); ``amount`` may be negative."""
        column = self.units.index(unit)
        with self._lock:
            self._timeline.bill[column] += amount
            self._timeline.adjustment[column] += amount

    def open_request(self, model: str, group: Group) -> Account:
        """Return the account of a new request."""
        with self._lock:
            return self._accounts.open(model, group)

    def join(self, account: Account, key: int) -> None:
        """The request goes to its model's host, whose reports will call it ``key``."""
        with self._lock:
            if not account.finished:
                account.key = key
                self._requests[account.model].rows[key] = account.row

    def finish(self, account: Account) -> dict[str, int]:
        """Return what the request cost, by unit; from now on that is final.

        What its host still computes for it (a cancel is on its way, say) is ``LATE``.
        """
        with self._lock:
            return self._finish(account)

    def settle(self, account: Account, outcome: str) -> dict[str, int]:
        """Finish the request and fold it into its line; a second time changes nothing."""
        with self._lock:
            amounts = self._finish(account)
            self._accounts.settle(account, outcome)
            return amounts

    @property
    def clipped_ns(self) -> int:
        """By how much late events were clipped, all together."""
        return self._timeline.clipped_ns

    def coefficients(self, model: str) -> Coefficients:
        """Return how steps of a model are split now."""
        return self._fits[model].coefficients

    def statement(self, unit: str, at_ns: int) -> Statement:
        """Return one unit's page after booking up to ``at_ns``."""
        column, timeline = self.units.index(unit), self._timeline
        with self._lock:
            timeline.advance(at_ns)
            active = dict.fromkeys(timeline.books, 0)
            for model, amount in self._accounts.active(column):
                active[model] += amount
            return Statement(
                at_ns=timeline.at_ns,
                bill=timeline.bill[column],
                models={
                    model: ModelLine(
                        active=active[model],
                        idle=book.idle[column],
                        load=book.load[column],
                        overhead=book.overhead[column],
                        in_flight=book.in_flight[column],
                    )
                    for model, book in timeline.books.items()
                },
                settled=self._accounts.settled(column),
                unallocated=timeline.unallocated[column],
                adjustment=timeline.adjustment[column],
            )

    def _charge(self, model: str, computed: Sequence[Computed]) -> None:
        """Move what is in flight to the step's requests; one nobody knows is overhead."""
        book = self._timeline.books[model]
        prefix = weigh(self._fits[model].coefficients, computed)
        total = prefix[-1]
        find, unknown = self._requests[model].rows.get, book.overhead
        rows = [find(key, unknown) for key, _, _ in computed]
        for column, amount in enumerate(book.in_flight):
            if not amount:
                continue
            book.in_flight[column] = 0
            # ``split``, written out: these lines run for every token.
            done = 0
            for row, weight in zip(rows, prefix, strict=True):
                until = amount * weight // total
                row[column] += until - done
                done = until

    def _finish(self, account: Account) -> dict[str, int]:
        if not account.finished:
            account.finished = True
            late = self._accounts.line(account, LATE)
            self._requests[account.model].finish(account, late)
        return dict(zip(self.units, account.row, strict=True))
