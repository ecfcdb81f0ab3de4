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

Events name the *slot* of a model: one host and its restarts. A model has a slot of its own name,
and another (``add``) while a new version of it takes over from an old one; the books tell of
models. Events are never refused, however odd, since a ledger that raises would stop the serving
that it watches: those of a slot that is not there (any more) change nothing. All methods may be
called from several threads.
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

    from hexkey.cost.accounts import Account, Row
    from hexkey.cost.attribution import Coefficients, Computed
    from hexkey.cost.price import Bill
    from hexkey.cost.statement import Group, Settled
    from hexkey.cost.timeline import Meter


class Ledger:
    """The books of one device from ``start_ns`` on; see ``Timeline`` for the arguments."""

    def __init__(
        self,
        meters: Mapping[str, Meter],
        models: Iterable[str] = (),
        *,
        memory: int,
        start_ns: int,
    ) -> None:
        self.units = tuple(meters)
        self._timeline = Timeline(meters, memory=memory, start_ns=start_ns)
        self._fits: dict[str, Fit] = {}
        self._requests: dict[str, Requests] = {}
        self._model_of: dict[str, str] = {}
        self._accounts = Accounts(len(self.units))
        self._lock = Lock()
        for model in models:
            self.add(model, model)

    def add(self, slot: str, model: str) -> None:
        """Open the books of a slot of ``model``; of one that is there, nothing changes."""
        with self._lock:
            if slot not in self._model_of:
                self._model_of[slot] = model
                self._fits[slot] = Fit()
                self._requests[slot] = Requests()
                self._timeline.add(slot, model)

    def retire(self, slot: str, at_ns: int) -> None:
        """The slot's host ended for good; what it cost stays with its model."""
        with self._lock:
            if slot in self._model_of:
                self._timeline.advance(at_ns)
                self._timeline.retire(slot)
                del self._model_of[slot], self._fits[slot], self._requests[slot]

    def begin_load(self, slot: str, at_ns: int) -> None:
        """A slot's host begins to load."""
        with self._lock:
            self._timeline.advance(at_ns)
            self._timeline.open_load(slot)

    def end_load(self, slot: str, at_ns: int, reserved: int) -> None:
        """The slot serves and holds so many bytes of the device's memory."""
        with self._lock:
            self._timeline.advance(at_ns)
            self._timeline.close(slot)
            self._timeline.reserve(slot, reserved)

    def lost(self, slot: str, at_ns: int) -> None:
        """The host ended, in whatever state; an open step's cost is overhead, its memory free.

        What is in flight reached no request: which ones it was for nobody lived to tell.
        """
        with self._lock:
            self._timeline.advance(at_ns)
            self._timeline.close(slot)
            self._timeline.reserve(slot, 0)
            if slot in self._requests:
                self._requests[slot].clear()

    def open_step(self, slot: str, at_ns: int) -> None:
        """An idle slot has work from now on; one that computes already goes on."""
        with self._lock:
            # Booking for nothing would only clip a report that is on its way.
            if not self._timeline.is_open(slot):
                self._timeline.advance(at_ns)
                self._timeline.open_step(slot)

    def close_step(
        self,
        slot: str,
        done_ns: int,
        duration_ns: int,
        computed: Sequence[Computed],
        *,
        more: bool,
    ) -> None:
        """A step's report came; with ``more`` the next step has begun, else the slot is idle.

        The step gets all that is in flight for its slot. Where nothing was computed and nothing
        more will be (the last request was cancelled), that is overhead.
        """
        with self._lock:
            self._timeline.advance(done_ns)
            if slot not in self._model_of:
                return
            if computed:
                self._charge(slot, computed)
                self._fits[slot].observe(duration_ns, computed)
            if more:
                self._timeline.open_step(slot)
            else:
                self._timeline.close(slot)
                self._requests[slot].forget_finished()

    def advance(self, at_ns: int) -> int:
        """Book up to an instant; returns the last one booked, which may be later."""
        with self._lock:
            self._timeline.advance(at_ns)
            return self._timeline.at_ns

    def reprice(self, bill: Bill, rate: int, at_ns: int) -> None:
        """Close the epoch of one of the meters: from ``at_ns`` on it counts ``rate`` an hour."""
        with self._lock:
            self._timeline.advance(at_ns)
            bill.reprice(rate, self._timeline.at_ns)

    def adjust(self, unit: str, amount: int) -> None:
        """Correct the bill by hand (an invoice differs, say); ``amount`` may be negative."""
        column = self.units.index(unit)
        with self._lock:
            self._timeline.bill[column] += amount
            self._timeline.adjustment[column] += amount

    def open_request(self, slot: str, group: Group) -> Account:
        """Return the account of a new request."""
        with self._lock:
            return self._accounts.open(slot, self._model_of.get(slot, slot), group)

    def join(self, account: Account, key: int) -> None:
        """The request goes to its slot's host, whose reports will call it ``key``."""
        with self._lock:
            if not account.finished and account.slot in self._requests:
                # The slot may be newer than the account; it costs nothing until now.
                account.model = self._model_of[account.slot]
                account.key = key
                self._requests[account.slot].rows[key] = account.row

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

    def coefficients(self) -> dict[str, Coefficients]:
        """Return how steps of each model are split now; of two slots, by the newer one's fit."""
        with self._lock:
            return {self._model_of[slot]: fit.coefficients for slot, fit in self._fits.items()}

    def lines(self) -> list[tuple[Settled, Row]]:
        """Return the lines of settled requests with their amounts, in the order of ``units``."""
        with self._lock:
            return self._accounts.lines()

    def statement(self, unit: str, at_ns: int, *, settled: bool = True) -> Statement:
        """Return one unit's page after booking up to ``at_ns``.

        Lines of settled requests may be thousands; without ``settled`` they are left out.
        """
        column, timeline = self.units.index(unit), self._timeline
        with self._lock:
            timeline.advance(at_ns)
            books = timeline.totals()
            active = self._accounts.active(column)
            return Statement(
                at_ns=timeline.at_ns,
                bill=timeline.bill[column],
                models={
                    model: ModelLine(
                        active=active.get(model, 0),
                        idle=book.idle[column],
                        load=book.load[column],
                        overhead=book.overhead[column],
                        in_flight=book.in_flight[column],
                    )
                    for model, book in books.items()
                },
                settled=self._accounts.settled(column) if settled else {},
                unallocated=timeline.unallocated[column],
                adjustment=timeline.adjustment[column],
            )

    def _charge(self, slot: str, computed: Sequence[Computed]) -> None:
        """Move what is in flight to the step's requests; one nobody knows is overhead."""
        book = self._timeline.books[slot]
        prefix = weigh(self._fits[slot].coefficients, computed)
        total = prefix[-1]
        find, unknown = self._requests[slot].rows.get, book.overhead
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
            if account.slot in self._requests:
                self._requests[account.slot].finish(account, late)
        return dict(zip(self.units, account.row, strict=True))
