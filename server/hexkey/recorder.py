"""What goes into the usage ledger: each settled request that ran, and what no request paid for.

Every minute the parts of the machine's bill that belong to no request (idle time, loads, overhead,
what nobody reserved, what was computed after an answer) become rows too. After a stop the rows of
a run add up to its whole bill, to the last pico-unit; a crash loses the machine's last minute.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from hexkey.billing import ENERGY, MONEY, TIME
from hexkey.cost.accounts import LATE
from hexkey.usage.row import MACHINE, UNALLOCATED, Row

if TYPE_CHECKING:
    from hexkey.billing import Billing
    from hexkey.cost.statement import Statement
    from hexkey.metering import Receipt
    from hexkey.usage.writer import Writer

MACHINE_S = 60.0
KINDS = ("idle", "load", "overhead")
GIVEN_UP = "_given_up"
"""Task of attempts that failed before a word was seen and were run again elsewhere."""


class _Place(NamedTuple):
    """Where a part of the bill is; ``model`` is empty for what belongs to none."""

    tenant: str
    task: str
    model: str


class Recorder:
    """Turns receipts and pages of the cost ledger into rows of the usage ledger."""

    def __init__(self, writer: Writer, billing: Billing) -> None:
        self.writer = writer
        self._billing = billing
        self._minutes: asyncio.Task[None] | None = None
        self._noted = Counter[str]()
        self._booked: dict[str, Counter[_Place]] = {
            unit: Counter() for unit in (MONEY, ENERGY, TIME)
        }

    def note(self, receipt: Receipt) -> None:
        """Record a settled request; one that was refused cost nothing and has no row."""
        spent = receipt.spent
        if spent is None:
            return
        self._noted.update({MONEY: spent.money, ENERGY: spent.energy, TIME: spent.time})
        self.writer.put(
            Row(
                at_us=time.time_ns() // 1000,
                request_id=receipt.request_id,
                protocol=receipt.protocol,
                tenant=receipt.tenant,
                task=receipt.task.value,
                model=receipt.model,
                outcome=receipt.outcome.value,
                code=receipt.code,
                duration_us=round(receipt.duration_s * 1e6),
                queue_us=_us(receipt.queued_s),
                first_us=_us(receipt.first_s),
                input_tokens=receipt.input_tokens,
                output_tokens=receipt.output_tokens,
                cached_tokens=receipt.cached_tokens,
                input_characters=receipt.input_characters,
                audio_ms=round(receipt.audio_seconds * 1000),
                device_ns=spent.time,
                cost_pico=spent.money,
                energy_uj=spent.energy,
                currency=spent.currency,
            )
        )

    def start(self) -> None:
        """Begin to record; ``OSError`` where the ledger's folder cannot be written to."""
        self.writer.start()
        self._minutes = asyncio.create_task(self._every_minute(), name="usage")

    async def stop(self) -> None:
        """Record the last of the machine's part, and see all rows onto the disk."""
        if self._minutes is None:
            return
        self._minutes.cancel()
        self._minutes = None
        self.note_machine()
        await asyncio.to_thread(self.writer.close)

    async def _every_minute(self) -> None:
        while True:
            await asyncio.sleep(MACHINE_S)
            self.note_machine()

    def note_machine(self) -> None:
        """Record what no request paid for since the last time."""
        at_ns = time.monotonic_ns()
        grown: dict[str, Counter[_Place]] = {}
        for unit, booked in self._booked.items():
            now = _places(self._billing.statement(unit, at_ns))
            now[_Place(MACHINE, GIVEN_UP, "")] -= self._noted[unit]
            grown[unit] = Counter({place: now[place] - booked[place] for place in now})
            self._booked[unit] = now
        for place in grown[TIME]:
            amounts = [grown[unit][place] for unit in (TIME, MONEY, ENERGY)]
            if any(amounts):
                self.writer.put(_machine(place, amounts, self._billing.currency))


def _places(page: Statement) -> Counter[_Place]:
    found: Counter[_Place] = Counter()
    for model, line in page.models.items():
        for kind in KINDS:
            found[_Place(MACHINE, f"_{kind}", model)] = getattr(line, kind)
    found[_Place(MACHINE, UNALLOCATED, "")] = page.unallocated + page.adjustment
    for settled, amount in page.settled.items():
        if settled.outcome == LATE:
            found[_Place(settled.group.tenant, settled.group.task, settled.model)] += amount
        else:
            found[_Place(MACHINE, GIVEN_UP, "")] += amount
    return found


def _machine(place: _Place, amounts: list[int], currency: str) -> Row:
    device_ns, cost_pico, energy_uj = amounts
    return Row(
        at_us=time.time_ns() // 1000,
        request_id="",
        protocol="",
        tenant=place.tenant,
        task=place.task,
        model=place.model,
        outcome="" if place.tenant == MACHINE else LATE,
        code="",
        duration_us=0,
        queue_us=None,
        first_us=None,
        input_tokens=0,
        output_tokens=0,
        cached_tokens=0,
        input_characters=0,
        audio_ms=0,
        device_ns=device_ns,
        cost_pico=cost_pico,
        energy_uj=energy_uj,
        currency=currency,
    )


def _us(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e6)
