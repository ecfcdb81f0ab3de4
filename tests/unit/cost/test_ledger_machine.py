"""The ledger under any sequence of events: it always adds up, and agrees with a plain model."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from hexkey.cost.accounts import LATE, Account
from hexkey.cost.ledger import Ledger
from hexkey.cost.price import HOUR_NS, Bill, seconds
from hexkey.cost.statement import Group, Settled

NAMES = ("a", "b", "c")
SECOND = "a#2"
"""A slot that comes and goes: a new version of the model ``a``."""
SLOTS = st.sampled_from([*NAMES, SECOND])
OUTCOMES = st.sampled_from(["ok", "cancelled", "error", "superseded"])
STEPS = st.integers(-50, 5_000)
RATE = 123_456_789_012
MEMORY = 1000
GROUP = Group("chat", "acme")


class Booking(RuleBasedStateMachine):
    """Any events at any times; ``spent`` says in rationals what each model must have had."""

    def __init__(self) -> None:
        super().__init__()
        self.bill = Bill(RATE, 0, base=17)
        meters = {"cost": self.bill, "time": seconds(0)}
        self.ledger = Ledger(meters, NAMES, memory=MEMORY, start_ns=0)
        self.now = 0
        self.events = 0
        self.open: set[str] = set()
        self.there = set(NAMES)
        self.spent = dict.fromkeys(NAMES, Fraction(0))
        self.unused = 0
        self.adjusted = 17
        self.keys = 0
        self.live: dict[Account, int | None] = {}
        self.final: list[tuple[Account, dict[str, int]]] = []
        self.before: dict[tuple[str, str], int] = {}

    accounts = Bundle("accounts")

    def pass_time(self, step: int) -> int:
        """Return an event's time, which may lie before what was booked."""
        at = self.now + step
        if step > 0:
            for slot in self.open:
                self.spent[slot.removesuffix("#2")] += Fraction(step, len(self.open))
            self.unused += 0 if self.open else step
            self.now = at
        self.events += 1
        return at

    @rule()
    def add_slot(self) -> None:
        self.ledger.add(SECOND, "a")
        self.there.add(SECOND)

    @rule(step=STEPS)
    def retire_slot(self, step: int) -> None:
        self.ledger.retire(SECOND, self.pass_time(step) if SECOND in self.there else self.now)
        self.there.discard(SECOND)
        self.open.discard(SECOND)

    def opened(self, slot: str) -> None:
        if slot in self.there:
            self.open.add(slot)

    @rule(slot=SLOTS, step=STEPS)
    def begin_load(self, slot: str, step: int) -> None:
        self.ledger.begin_load(slot, self.pass_time(step))
        self.opened(slot)

    @rule(slot=SLOTS, step=STEPS, reserved=st.integers(0, MEMORY))
    def end_load(self, slot: str, step: int, reserved: int) -> None:
        self.ledger.end_load(slot, self.pass_time(step), reserved)
        self.open.discard(slot)

    @rule(slot=SLOTS, step=STEPS)
    def open_step(self, slot: str, step: int) -> None:
        if slot in self.open:
            self.ledger.open_step(slot, self.now + step)  # nothing happens
            return
        self.ledger.open_step(slot, self.pass_time(step))
        self.opened(slot)

    @rule(
        slot=SLOTS,
        step=STEPS,
        took=st.integers(0, 5_000),
        data=st.data(),
    )
    def close_step(self, slot: str, step: int, took: int, data: st.DataObject) -> None:
        more = data.draw(st.booleans())
        keys = [key for one, key in self.live.items() if one.slot == slot and key is not None]
        keys += [one.key for one, _ in self.final[-3:] if one.key is not None]
        chosen = data.draw(st.lists(st.sampled_from(keys), max_size=6)) if keys else []
        computed = [
            (key, data.draw(st.integers(0, 500)), data.draw(st.integers(0, 4000)))
            for key in data.draw(st.sampled_from([chosen, [*chosen, -1]]))
        ]
        self.ledger.close_step(slot, self.pass_time(step), took, computed, more=more)
        (self.opened if more else self.open.discard)(slot)

    @rule(slot=SLOTS, step=STEPS)
    def lose(self, slot: str, step: int) -> None:
        self.ledger.lost(slot, self.pass_time(step))
        self.open.discard(slot)

    @rule(target=accounts, slot=SLOTS, tenant=st.sampled_from(["x", "y"]))
    def open_request(self, slot: str, tenant: str) -> Account:
        account = self.ledger.open_request(slot, Group("chat", tenant))
        self.live[account] = None
        return account

    @rule(account=accounts)
    def join(self, account: Account) -> None:
        self.keys += 1
        self.ledger.join(account, self.keys)
        self.live[account] = account.key

    @rule(account=accounts)
    def finish(self, account: Account) -> None:
        self.final.append((account, self.ledger.finish(account)))

    @rule(account=consumes(accounts), outcome=OUTCOMES)
    def settle(self, account: Account, outcome: str) -> None:
        self.final.append((account, self.ledger.settle(account, outcome)))
        del self.live[account]

    @rule(amount=st.integers(-(10**9), 10**9))
    def adjust(self, amount: int) -> None:
        self.ledger.adjust("cost", amount)
        self.adjusted += amount

    @rule(step=STEPS, rate=st.integers(0, 10 * RATE))
    def reprice(self, step: int, rate: int) -> None:
        self.bill.reprice(rate, self.ledger.advance(self.pass_time(step)))

    @invariant()
    def adds_up(self) -> None:
        for unit, carried in (("cost", self.adjusted), ("time", 0)):
            told = self.ledger.statement(unit, self.now)
            assert told.imbalance == 0
            assert told.adjustment == carried
            assert told.at_ns == self.now
            column = self.ledger.units.index(unit)
            live = sum(one.row[column] for one in self.live)
            active = sum(line.active for line in told.models.values())
            assert active == live + sum(told.settled.values())
        assert told.bill == self.now
        assert (
            self.ledger.statement("cost", self.now).bill
            == self.bill.total(self.now) + self.adjusted - 17
        )

    @invariant()
    def agrees_with_the_plain_model(self) -> None:
        told = self.ledger.statement("time", self.now)
        for model, line in told.models.items():
            had = line.active + line.load + line.overhead + line.in_flight
            assert abs(had - self.spent[model]) <= self.events
        idle = sum(line.idle for line in told.models.values())
        assert idle + told.unallocated == self.unused

    @invariant()
    def counters_never_fall(self) -> None:
        told = self.ledger.statement("time", self.now)
        after = {
            (model, kind): getattr(line, kind)
            for model, line in told.models.items()
            for kind in ("active", "idle", "load", "overhead")
        }
        after["", "unallocated"] = told.unallocated
        assert all(value >= self.before.get(name, 0) for name, value in after.items())
        self.before = after

    @invariant()
    def answers_are_final_and_all_else_is_late(self) -> None:
        for account, amounts in self.final:
            assert dict(zip(self.ledger.units, account.row, strict=True)) == amounts
        told = self.ledger.statement("cost", self.now)
        settled = {id(one): amounts for one, amounts in self.final if one not in self.live}
        late = sum(amount for line, amount in told.settled.items() if line.outcome == LATE)
        answered = sum(amounts["cost"] for amounts in settled.values())
        assert answered + late == sum(told.settled.values())


TestBooking = Booking.TestCase
TestBooking.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def serve(ledger: Ledger, model: str, answered: dict[str, int]) -> None:
    rng = random.Random(model)  # noqa: S311 - repeatable load, no secret
    for first in range(0, 2400, 8):
        accounts = [ledger.open_request(model, GROUP) for _ in range(8)]
        for key, account in enumerate(accounts, first):
            ledger.join(account, key)
        ledger.open_step(model, time.monotonic_ns())
        for _ in range(3):
            computed = [(key, 1, 100) for key in range(first, first + 8)]
            done = time.monotonic_ns() - rng.randrange(2000)
            ledger.close_step(model, done, 1000, computed, more=rng.random() < 0.5)
        for account in accounts:
            answered[model] += ledger.settle(account, rng.choice(["ok", "cancelled"]))["cost"]
    ledger.lost(model, time.monotonic_ns())


def test_threads_may_share_a_ledger() -> None:
    start = time.monotonic_ns()
    bill = Bill(HOUR_NS, start)
    ledger = Ledger({"cost": bill}, NAMES, memory=MEMORY, start_ns=start)
    answered = dict.fromkeys(NAMES, 0)
    with ThreadPoolExecutor(len(NAMES)) as pool:
        serving = [pool.submit(serve, ledger, name, answered) for name in NAMES]
        while not all(one.done() for one in serving):
            assert ledger.statement("cost", time.monotonic_ns()).imbalance == 0
        for one in serving:
            one.result()
    told = ledger.statement("cost", time.monotonic_ns())
    assert told.imbalance == 0
    assert told.bill == bill.total(told.at_ns)
    for name, line in told.models.items():
        late = told.settled[Settled(name, GROUP, LATE)]
        assert answered[name] + late == line.active
        assert line.in_flight == 0
