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

from hexkey.charge import Part
from hexkey.cost.accounts import LATE
from hexkey.devices import ENERGY, MONEY, TIME, UNITS
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

    device: str
    tenant: str
    task: str
    model: str


class Recorder:
    """Turns receipts and pages of the cost ledger into rows of the usage ledger."""

    def __init__(self, writer: Writer, billing: Billing) -> None:
        self.writer = writer
        self._billing = billing
        self._minutes: asyncio.Task[None] | None = None
        self._noted = Counter[tuple[str, str]]()
        self._booked: dict[str, Counter[_Place]] = {unit: Counter() for unit in UNITS}

    def note(self, receipt: Receipt) -> None:
        """Record a settled request; one that was refused before it ran has no row."""
        spent = receipt.spent
        if spent is None:
            return
        none = Part(self._billing.place(receipt.model), receipt.model, 0, 0, 0)
        *before, last = spent.parts or (none,)
        for part in (*before, last):
            for unit, amount in zip(UNITS, part[2:], strict=True):
                self._noted[part.device, unit] += amount
        for part in before:
            place = _Place(part.device, receipt.tenant, receipt.task.value, part.model)
            amounts = [part.time, part.money, part.energy]
            row = _uncounted(place, receipt.outcome.value, amounts, spent.currency)
            self.writer.put(row._replace(request_id=receipt.request_id))
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
                device_ns=last.time,
                cost_pico=last.money,
                energy_uj=last.energy,
                currency=spent.currency,
                device=last.device,
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
            now: Counter[_Place] = Counter()
            for device, page in self._billing.pages(unit, at_ns).items():
                now.update(_places(device, page))
                now[_Place(device, MACHINE, GIVEN_UP, "")] -= self._noted[device, unit]
            grown[unit] = Counter({place: now[place] - booked[place] for place in now})
            self._booked[unit] = now
        for place in grown[TIME]:
            amounts = [grown[unit][place] for unit in (TIME, MONEY, ENERGY)]
            if any(amounts):
                outcome = "" if place.tenant == MACHINE else LATE
                self.writer.put(_uncounted(place, outcome, amounts, self._billing.currency))


def _places(device: str, page: Statement) -> Counter[_Place]:
    found: Counter[_Place] = Counter()
    for model, line in page.models.items():
        for kind in KINDS:
            found[_Place(device, MACHINE, f"_{kind}", model)] = getattr(line, kind)
    found[_Place(device, MACHINE, UNALLOCATED, "")] = page.unallocated + page.adjustment
    for settled, amount in page.settled.items():
        if settled.outcome == LATE:
            group = settled.group
            found[_Place(device, group.tenant, group.task, settled.model)] += amount
        else:
            found[_Place(device, MACHINE, GIVEN_UP, "")] += amount
    return found


def _uncounted(place: _Place, outcome: str, amounts: list[int], currency: str) -> Row:
    """Return a row that costs and is no request."""
    device_ns, cost_pico, energy_uj = amounts
    return Row(
        at_us=time.time_ns() // 1000,
        request_id="",
        protocol="",
        tenant=place.tenant,
        task=place.task,
        model=place.model,
        outcome=outcome,
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
        device=place.device,
    )


def _us(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e6)
