"""One device's time, cut at each event; every interval's amount is booked once, and at once.

An interval belongs to the slots with an open step or load, in equal parts: the Shapley value of a
machine that runs while anyone needs it. Without any, it is idle, shared by the memory that each
loaded one reserves, and the rest unallocated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hexkey.cost.accounts import add

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hexkey.cost.accounts import Row


class Meter(Protocol):
    """A running total in whole units that never falls."""

    def total(self, at_ns: int) -> int:
        """Return the total at an instant; instants are asked for in order."""


class Book:
    """One slot: a row for each place that its part of the bill can be in, requests aside."""

    __slots__ = ("idle", "in_flight", "load", "overhead", "reserved")

    def __init__(self, units: int) -> None:
        self.in_flight: Row = [0] * units
        self.idle: Row = [0] * units
        self.load: Row = [0] * units
        self.overhead: Row = [0] * units
        self.reserved = 0

    def take_in(self, other: Book) -> None:
        """Add another book's amounts."""
        for name in ("in_flight", "idle", "load", "overhead"):
            add(getattr(self, name), getattr(other, name))


class Timeline:
    """A device from ``start_ns`` on; ``memory`` is its own, in bytes.

    What the meters show at the start (a bill carried over a restart, say) is an adjustment.
    """

    def __init__(self, meters: Mapping[str, Meter], *, memory: int, start_ns: int) -> None:
        units = self._units = len(meters)
        self.at_ns = start_ns
        self.clipped_ns = 0
        self.books: dict[str, Book] = {}
        self._models: dict[str, Book] = {}
        self._model_of: dict[str, str] = {}
        self._meters = tuple(meters.values())
        self._memory = memory
        self._read: Row = [one.total(start_ns) for one in self._meters]
        self.bill = self._read.copy()
        self.adjustment = self._read.copy()
        self.unallocated: Row = [0] * units
        # Who shares the interval under way, and the row that each one's part goes to.
        self._open: dict[str, Row] = {}

    def add(self, slot: str, model: str) -> None:
        """Open the books of a new slot of a model."""
        self.books[slot] = Book(self._units)
        self._model_of[slot] = model
        self._models.setdefault(model, Book(self._units))

    def retire(self, slot: str) -> None:
        """Fold a slot's books into its model's."""
        self.close(slot)
        self._models[self._model_of.pop(slot)].take_in(self.books.pop(slot))

    def totals(self) -> dict[str, Book]:
        """Return the books of each model that was ever there, its slots together."""
        books = {model: Book(self._units) for model in self._models}
        for model, retired in self._models.items():
            books[model].take_in(retired)
        for slot, book in self.books.items():
            books[self._model_of[slot]].take_in(book)
        return books

    def reserve(self, slot: str, memory: int) -> None:
        """The slot holds so many bytes from now on."""
        if slot in self.books:
            self.books[slot].reserved = memory

    def is_open(self, slot: str) -> bool:
        """Whether the slot computes or loads."""
        return slot in self._open

    def open_step(self, slot: str) -> None:
        """From now on the slot computes; one that does, or that loads, goes on."""
        if slot in self.books:
            self._open.setdefault(slot, self.books[slot].in_flight)

    def open_load(self, slot: str) -> None:
        """From now on the slot loads."""
        self.close(slot)
        if slot in self.books:
            self._open[slot] = self.books[slot].load

    def close(self, slot: str) -> None:
        """From now on the slot does nothing; what is in flight still was for no request."""
        self._open.pop(slot, None)
        if slot in self.books:
            book = self.books[slot]
            add(book.overhead, book.in_flight)
            book.in_flight[:] = [0] * self._units

    def advance(self, at_ns: int) -> None:
        """Book up to an instant; one that is booked already is clipped, and that is counted."""
        if at_ns <= self.at_ns:
            self.clipped_ns += self.at_ns - at_ns
            return
        self.at_ns = at_ns
        for column, meter in enumerate(self._meters):
            reading = meter.total(at_ns)
            amount = reading - self._read[column]
            if amount <= 0:  # a meter that falls is waited for
                continue
            before, self._read[column] = self._read[column], reading
            self.bill[column] += amount
            if self._open:
                # Hermite: the floors of (x+i)/k for i below k add up to x, so the parts are exact;
                # and they telescope, so however often time is cut nobody pays for the rounding.
                count = len(self._open)
                for i, row in enumerate(self._open.values()):
                    row[column] += (reading + i) // count - (before + i) // count
            else:
                self._idle(column, amount)

    def _idle(self, column: int, amount: int) -> None:
        books = self.books.values()
        # Models that reserve more than there is share it all.
        memory = max(self._memory, sum(book.reserved for book in books))
        left = amount
        for book in books:
            if book.reserved:
                part = amount * book.reserved // memory
                book.idle[column] += part
                left -= part
        self.unallocated[column] += left
