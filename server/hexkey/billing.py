"""Where the pure ledgers meet the clock: hosts' lives and steps in, what requests cost out.

Each model is on one device of the machine, and so is each leg of a request.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hexkey import tariff
from hexkey.charge import Charge, Leg
from hexkey.cost.attribution import SCALE
from hexkey.cost.statement import Group, together
from hexkey.devices import MONEY, TIME, UNITS, devices, rates
from hexkey.engines.process import resident_bytes
from hexkey.engines.supervisor import State
from hexkey.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hexkey.config import CostConfig
    from hexkey.cost.attribution import Coefficients
    from hexkey.cost.counterfactual import Work
    from hexkey.cost.statement import Settled, Statement
    from hexkey.devices import Device
    from hexkey.engines.frames import Step
    from hexkey.types import Caller, Task


class Billing:
    """The machine's devices and their ledgers, priced by the configuration.

    Models are ``add``-ed to a device and then ``serve``-d; those that are named at once are on the
    first.
    """

    def __init__(self, config: CostConfig, models: Iterable[str] = ()) -> None:
        self.currency = config.currency
        self.devices = devices(config, time.monotonic_ns())
        self.references = tuple(map(tariff.reference, config.references))
        self._expose = config.expose
        self._first = next(iter(self.devices.values()))
        self._slots: dict[str, str] = {}
        self._places: dict[str, Device] = {}
        self._memory: dict[str, int] = {}
        for model in models:
            self.add(model, model)
            self.serve(model, model)

    @property
    def rate(self) -> int:
        """What the machine costs an hour, in pico-units."""
        return sum(one.rate for one in self.devices.values())

    def reprice(self, config: CostConfig) -> None:
        """Take in another price, shares, references or ``expose``; ``fixed`` is as it was.

        What was spent until now was at the old price.
        """
        for name, rate in rates(config).items():
            device = self.devices[name]
            if rate != device.rate:
                device.ledger.reprice(device.bill, rate, time.monotonic_ns())
        self.references = tuple(map(tariff.reference, config.references))
        self._expose = config.expose

    def start(self) -> None:
        """Begin to read what measures energy; ``close`` ends that."""
        for one in self.devices.values():
            one.power.start()

    def close(self) -> None:
        """Measure no more."""
        for one in self.devices.values():
            one.power.close()

    def open(self, model: str, task: Task, tenant: str) -> Charge:
        """Return the account of an admitted request."""
        return Charge(self, Group(task, tenant), TASKS[task].unit, model)

    def leg(self, model: str, group: Group) -> Leg:
        """Return a leg, with a new account on the version of a model that serves now."""
        slot = self._slots.get(model, model)
        device = self._device(slot)
        return Leg(model, device, device.ledger.open_request(slot, group))

    def add(self, slot: str, model: str, device: str = "", memory: int = 0) -> None:
        """A version of a model is about to load on a device, the first where none is named.

        ``memory`` is what it reserves there, in bytes; 0 leaves it to what its host takes.
        """
        self._places[slot] = place = self.devices.get(device, self._first)
        self._memory[slot] = memory
        place.ledger.add(slot, model)

    def serve(self, model: str, slot: str) -> None:
        """Requests for a model go to this version from now on."""
        self._slots[model] = slot

    def retire(self, slot: str) -> None:
        """A version has ended for good."""
        self._device(slot).ledger.retire(slot, time.monotonic_ns())
        self._places.pop(slot, None)
        self._memory.pop(slot, None)

    def place(self, model: str) -> str:
        """Return the device that a model is on."""
        return self._device(self._slots.get(model, model)).name

    def may_see_cost(self, caller: Caller) -> bool:
        """Whether the caller is told cost and timing, which give away who else is in the batch."""
        return self._expose == "all" or (self._expose == "admin" and caller.admin)

    def on_state(self, slot: str, state: State, pid: int | None) -> None:
        """A slot's host changed its state."""
        now, ledger = time.monotonic_ns(), self._device(slot).ledger
        if state is State.LOADING:
            ledger.begin_load(slot, now)
        elif state is State.READY:
            ledger.end_load(slot, now, self._memory.get(slot) or resident_bytes(pid))
        elif state is not State.DRAINING:
            ledger.lost(slot, now)

    def on_step(self, slot: str, step: Step, *, more: bool) -> None:
        """A step's report came; ``more`` says that it has work left."""
        done_ns = min(step.done_ns, time.monotonic_ns())
        took_ns = step.done_ns - step.begin_ns
        self._device(slot).ledger.close_step(slot, done_ns, took_ns, step.computed, more=more)

    def pages(
        self, unit: str, at_ns: int | None = None, *, settled: bool = True
    ) -> dict[str, Statement]:
        """Return one unit's page of each device as of now, or of an instant of the same clock."""
        at_ns = time.monotonic_ns() if at_ns is None else at_ns
        return {
            name: one.ledger.statement(unit, at_ns, settled=settled)
            for name, one in self.devices.items()
        }

    def lines(self) -> Iterator[tuple[Settled, int, int]]:
        """Yield the lines of settled requests with their money and time."""
        money, time_at = UNITS.index(MONEY), UNITS.index(TIME)
        for device in self.devices.values():
            for line, row in device.ledger.lines():
                yield line, row[money], row[time_at]

    def statement(self, unit: str, at_ns: int | None = None) -> Statement:
        """Return one unit's page of the whole machine."""
        return together(self.pages(unit, at_ns).values())

    def terms(self) -> Iterator[tuple[str, str, float]]:
        """Yield (model, term, seconds) of how each model's steps are shared among requests."""
        # A model that moves to another device is on two while the old version finishes.
        found: dict[str, Coefficients] = {}
        for device in self.devices.values():
            found |= device.ledger.coefficients()
        for model, terms in found.items():
            for term in terms._fields:
                yield model, term, getattr(terms, term) / SCALE / 1e9

    def elsewhere(self, work: Work) -> dict[str, int]:
        """Return what each reference would have taken for the same, in pico-units."""
        return {one.name: one.cost(work) for one in self.references}

    def _device(self, slot: str) -> Device:
        return self._places.get(slot, self._first)
