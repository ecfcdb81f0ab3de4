"""Several devices under any sequence of events: each adds up, and so do all, and so do the rows."""

from __future__ import annotations

from collections import Counter
from typing import cast
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from hexkey import billing as billing_module
from hexkey import charge as charge_module
from hexkey import recorder as recorder_module
from hexkey.billing import Billing
from hexkey.charge import Charge
from hexkey.config import CostConfig, DeviceConfig
from hexkey.cost.price import HOUR_NS
from hexkey.devices import ENERGY, MONEY, TIME, UNITS
from hexkey.engines.frames import Step
from hexkey.engines.supervisor import State
from hexkey.errors import Code, ServeError
from hexkey.metering import Meter
from hexkey.metrics import Metrics
from hexkey.recorder import Recorder
from hexkey.types import Usage
from hexkey.usage.row import Row
from hexkey.usage.writer import Writer
from tests.unit.requests import request

COST = CostConfig(
    currency="EUR",
    price_per_hour="123.456789012345",
    devices=(
        DeviceConfig("cpu", "0.2", watts="95"),
        DeviceConfig("gpu0", "0.3", memory_gib=2, watts="300"),
        DeviceConfig("gpu1", "0.5", memory_gib=2),
    ),
)
PLACES = {"a": "cpu", "b": "cpu", "c": "gpu0", "d": "gpu1"}
MOVED = "a#2"
"""A version of ``a`` on another device than the one before it."""
MODELS = st.sampled_from(list(PLACES))
SLOTS = st.sampled_from([*PLACES, MOVED])
STATES = st.sampled_from([State.LOADING, State.READY, State.BACKOFF, State.STOPPED])
PASSES = st.integers(0, 10**12)
AMOUNT = {MONEY: "cost_pico", ENERGY: "energy_uj", TIME: "device_ns"}
METRICS = Metrics()
START_NS = 10**12


class Clock:
    """Stands for the module ``time``."""

    def __init__(self) -> None:
        self.now = START_NS

    def monotonic_ns(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1e9

    def time_ns(self) -> int:
        return self.now


class Live:
    """A request under way: its charge, its meter, and what its hosts call it."""

    def __init__(self, charge: Charge, meter: Meter, model: str) -> None:
        self.charge = charge
        self.meter = meter
        self.model = model
        self.legs = True
        self.keys: list[tuple[str, int]] = []


class House(RuleBasedStateMachine):
    """Three devices of different price; requests come, go on elsewhere, fail and are told."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.patches = [
            mock.patch.object(module, "time", self.clock)
            for module in (billing_module, charge_module, recorder_module)
        ]
        for one in self.patches:
            one.start()
        self.billing = Billing(COST)
        for model, device in PLACES.items():
            self.billing.add(model, model, device, 1 << 30)
            self.billing.serve(model, model)
        self.rows: list[Row] = []
        self.recorder = Recorder(cast("Writer", self), self.billing)
        self.keys = 0
        self.live: set[Live] = set()

    requests = Bundle("requests")

    def put(self, row: Row) -> None:
        """As ``Writer.put``."""
        self.rows.append(row)

    def teardown(self) -> None:
        for one in self.patches:
            one.stop()

    @rule(ns=PASSES)
    def time_passes(self, ns: int) -> None:
        self.clock.now += ns

    @rule(slot=SLOTS, state=STATES)
    def host_is(self, slot: str, state: State) -> None:
        self.billing.on_state(slot, state, None)

    @rule()
    def move(self) -> None:
        """Serve a model from another device from now on, as a reload does."""
        self.billing.add(MOVED, "a", "gpu0", 1 << 30)
        self.billing.serve("a", MOVED)

    @rule()
    def move_back(self) -> None:
        self.billing.serve("a", "a")
        self.billing.retire(MOVED)

    @rule(target=requests, model=MODELS, ns=PASSES)
    def ask(self, model: str, ns: int) -> Live:
        """A request comes and is computed a step of."""
        asked = request()
        meter = Meter(METRICS, asked)
        meter.routed(model)
        meter.admitted()
        one = Live(self.billing.open(model, asked.task, asked.tenant), meter, model)
        self.live.add(one)
        self.join(one)
        self.compute(one, ns, more=True)
        return one

    def join(self, one: Live) -> None:
        """Send a request to its host, as the pool does."""
        self.keys += 1
        one.charge.join(self.keys)
        one.keys.append((self.billing._slots[one.model], self.keys))

    @rule(one=requests, model=MODELS, ns=PASSES)
    def go_on(self, one: Live, model: str, ns: int) -> None:
        """Its first leg is complete, or was given up; the next one is computed a step of."""
        if one.legs:
            one.charge.finish_leg(Usage(1, 1))
        one.charge.next_leg(model)
        one.meter.routed(model)
        one.model, one.legs = model, True
        self.join(one)
        self.compute(one, ns, more=True)

    @rule(one=requests)
    def give_up(self, one: Live) -> None:
        one.charge.give_up("error")
        one.legs = False

    @rule(one=requests, ns=PASSES, more=st.booleans())
    def compute(self, one: Live, ns: int, more: bool) -> None:  # noqa: FBT001 - drawn
        """A step of the host that the request was sent to, for all that it knows."""
        slot = one.keys[-1][0]
        begin, self.clock.now = self.clock.now, self.clock.now + ns
        named = [key for one in self.live for where, key in one.keys if where == slot]
        computed = [(key, 1 + key % 3, key) for key in named[-4:]]
        self.billing.on_step(slot, Step(1, begin, self.clock.now, 0, computed), more=more)

    @rule(one=consumes(requests), ok=st.booleans())
    def settle(self, one: Live, ok: bool) -> None:  # noqa: FBT001 - drawn
        told = one.charge.finish(Usage(3, 4)) if ok else None
        if ok:
            one.meter.note(Usage(3, 4))
        receipt = one.meter.settle(None if ok else ServeError(Code.CANCELLED, "left"), one.charge)
        self.live.discard(one)
        spent = receipt.spent
        assert spent is not None
        for unit in UNITS:
            assert getattr(spent, unit) == sum(getattr(part, unit) for part in spent.parts)
        if told is not None:
            assert told.pico == spent.money
        self.recorder.note(receipt)

    @invariant()
    def each_device_and_all_of_them_add_up(self) -> None:
        elapsed = self.clock.now - START_NS
        for unit in UNITS:
            pages = self.billing.pages(unit)
            whole = self.billing.statement(unit)
            assert all(page.imbalance == 0 for page in pages.values())
            assert whole.imbalance == 0
            assert whole.bill == sum(page.bill for page in pages.values())
        for name, device in self.billing.devices.items():
            # To the pico-unit, whatever happened: the share of the price for the time.
            assert self.billing.pages(MONEY)[name].bill == device.rate * elapsed // HOUR_NS
            assert self.billing.pages(TIME)[name].bill == elapsed
        assert sum(one.rate for one in self.billing.devices.values()) == self.billing.rate
        machine = self.billing.rate * elapsed // HOUR_NS
        assert 0 <= machine - self.billing.statement(MONEY).bill < len(COST.devices)

    @invariant()
    def every_rows_device_is_billed_for_it(self) -> None:
        self.recorder.note_machine()
        for unit in UNITS:
            written: Counter[str] = Counter()
            for row in self.rows:
                written[row.device] += getattr(row, AMOUNT[unit])
            for name, page in self.billing.pages(unit).items():
                settled = sum(page.settled.values())
                running = sum(line.active for line in page.models.values()) - settled
                assert written[name] == page.bill - page.in_flight - running

    @invariant()
    def only_a_models_own_device_pays_for_it(self) -> None:
        pages = self.billing.pages(TIME)
        assert set(pages["cpu"].models) == {"a", "b"}
        assert {"c"} <= set(pages["gpu0"].models) <= {"a", "c"}
        assert set(pages["gpu1"].models) == {"d"}


TestHouse = House.TestCase
TestHouse.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)


def test_a_pivot_over_two_devices_is_a_row_on_each() -> None:
    house = House()
    try:
        one = house.ask("a", 10**9)
        house.go_on(one, "c", 3 * 10**9)
        house.settle(one, ok=True)
        first, last = house.rows
        assert (first.device, first.model, first.protocol, first.device_ns) == (
            "cpu", "a", "", 10**9,
        )  # fmt: skip
        assert (last.device, last.model, last.device_ns) == ("gpu0", "c", 3 * 10**9)
        assert first.request_id == last.request_id
        assert (first.input_tokens, last.input_tokens) == (0, 3)
        # Seconds at a fifth and at three tenths of the price.
        rate = 123.456789012345e12 / 3600
        assert abs(first.cost_pico - 0.2 * rate) < 2
        assert abs(last.cost_pico - 3 * 0.3 * rate) < 2
        house.every_rows_device_is_billed_for_it()
    finally:
        house.teardown()


def test_what_names_no_device_is_on_the_first() -> None:
    billing = Billing(COST, ["x"])
    assert billing.place("x") == "cpu"
    assert billing.place("nobody") == "cpu"
    billing.open("nobody", request().task, "").settle("ok", Usage())
    assert all(page.imbalance == 0 for page in billing.pages(MONEY).values())
