"""From settled requests and pages of the cost ledger to rows: the whole bill, to the pico-unit."""

from __future__ import annotations

import os
import time
from typing import cast

import msgspec

from hexkey.billing import Billing
from hexkey.config import CostConfig
from hexkey.devices import ENERGY, MONEY, TIME
from hexkey.engines.frames import Step
from hexkey.engines.supervisor import State
from hexkey.errors import Code, ServeError
from hexkey.metering import Meter
from hexkey.metrics import Metrics
from hexkey.recorder import Recorder
from hexkey.types import Caller, Usage
from hexkey.usage.row import Row
from hexkey.usage.writer import Writer
from tests.unit.requests import request


class Rows:
    """A writer that keeps what it is given."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def put(self, row: Row) -> None:
        self.rows.append(row)


def house() -> tuple[Recorder, Billing, list[Row]]:
    billing = Billing(CostConfig(price_per_hour="3600", watts="100"), ["m"])
    rows = Rows()
    return Recorder(cast("Writer", rows), billing), billing, rows.rows


def step(billing: Billing, *keys: int) -> None:
    begin = time.monotonic_ns()
    time.sleep(0.002)
    computed = [(key, 1, 0) for key in keys]
    billing.on_step("m", Step(1, begin, time.monotonic_ns(), 0, computed), more=False)


def test_a_request_is_a_row_with_all_its_numbers() -> None:
    recorder, billing, rows = house()
    asked = msgspec.structs.replace(request(), caller=Caller(tenant="acme"))
    meter = Meter(Metrics(), asked)
    meter.routed("m")
    meter.admitted()
    charge = billing.open("m", asked.task, asked.tenant)
    charge.join(1)
    step(billing, 1)
    meter.note(Usage(7, 5, 3, 21))
    recorder.note(meter.settle(None, charge))
    (row,) = rows
    assert row.request_id == asked.id
    assert (row.tenant, row.task, row.model, row.outcome) == ("acme", asked.task.value, "m", "ok")
    assert (row.input_tokens, row.output_tokens, row.cached_tokens) == (7, 5, 3)
    assert row.input_characters == 21
    assert row.cost_pico == sum(billing.statement(MONEY).settled.values()) > 0
    assert row.energy_uj > 0
    assert row.device_ns >= 2_000_000
    assert abs(row.at_us / 1e6 - time.time()) < 60


def test_a_refused_request_has_no_row() -> None:
    recorder, _, rows = house()
    recorder.note(Meter(Metrics(), request()).settle(ServeError(Code.NOT_FOUND, "no")))
    assert rows == []


def test_the_rows_add_up_to_the_bill() -> None:
    recorder, billing, rows = house()
    billing.on_state("m", State.LOADING, None)
    time.sleep(0.002)
    billing.on_state("m", State.READY, os.getpid())
    recorder.note_machine()
    for number, outcome in ((1, None), (2, ServeError(Code.CANCELLED, "left"))):
        asked = request()
        meter = Meter(Metrics(), asked)
        meter.admitted()
        charge = billing.open("m", asked.task, asked.tenant)
        charge.join(number)
        step(billing, number)
        if number == 2:
            # Nothing was seen of this attempt, and another one serves.
            charge.give_up("error")
            charge.next_leg("m")
            charge.join(10)
            step(billing, 10)
        charge.finish(Usage())
        # A step that was under way when the answer was given.
        step(billing, number)
        recorder.note(meter.settle(outcome, charge))
        recorder.note_machine()
    charge = billing.open("m", asked.task, asked.tenant)
    charge.join(3)
    time.sleep(0.002)
    billing.on_state("m", State.STOPPED, None)
    charge.settle("error", None)
    recorder.note_machine()
    booked = {
        MONEY: sum(row.cost_pico for row in rows),
        ENERGY: sum(row.energy_uj for row in rows),
        TIME: sum(row.device_ns for row in rows),
    }
    tasks = {row.task for row in rows if not row.protocol and row.tenant == "_machine"}
    known = {"_load", "_idle", "_overhead", "_unallocated", "_given_up"}
    assert known >= tasks >= {"_load", "_overhead", "_given_up"}
    # Between the last row and this page only time passed, which nobody has been billed for yet.
    for unit, amount in booked.items():
        page = billing.statement(unit)
        assert page.imbalance == 0
        rest = page.bill - amount
        grown = sum(line.idle for line in page.models.values()) + page.unallocated
        recorded = sum(_of(row, unit) for row in rows if row.task in {"_idle", "_unallocated"})
        assert rest == grown - recorded


def _of(row: Row, unit: str) -> int:
    return {MONEY: row.cost_pico, ENERGY: row.energy_uj, TIME: row.device_ns}[unit]
