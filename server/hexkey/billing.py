"""Where the pure ledger meets the clock: hosts' lives and steps in, what requests cost out.

One device for now: the machine. Its price is shared by the models on it; see ``hexkey.cost``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hexkey import tariff
from hexkey.cost.attribution import SCALE
from hexkey.cost.ledger import Ledger
from hexkey.cost.price import Bill, machine_rate, seconds
from hexkey.cost.statement import Group
from hexkey.engines.process import resident_bytes
from hexkey.engines.supervisor import State
from hexkey.power import Power
from hexkey.types import Cost, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hexkey.config import CostConfig
    from hexkey.cost.accounts import Account
    from hexkey.cost.statement import Statement
    from hexkey.cost.timeline import Meter
    from hexkey.engines.frames import Step
    from hexkey.types import Request, Task

MONEY, ENERGY, TIME = "money", "energy", "time"
PICO = 10**12


@dataclass(frozen=True, slots=True)
class Spent:
    """What one request cost: money in pico-units, energy in microjoules, time in nanoseconds."""

    money: int
    energy: int
    time: int
    counterfactual: dict[str, int]
    currency: str


class Charge:
    """One request's accounts, one for each leg of the attempt under way.

    ``settle`` is called once, whatever happened. What an attempt cost that was given up is no
    part of what the request cost: it counts as waste of the model that failed.
    """

    __slots__ = ("_accounts", "_billing", "_completed_s", "_group", "_joined_s")

    def __init__(self, billing: Billing, group: Group, model: str) -> None:
        self._billing = billing
        self._group = group
        self._accounts: list[Account] = [billing.account(model, group)]
        self._joined_s = self._completed_s = time.monotonic()

    def next_leg(self, model: str) -> None:
        """The request goes on, or begins anew, on this model."""
        if self._accounts:
            self._billing.ledger.finish(self._accounts[-1])
        self._accounts.append(self._billing.account(model, self._group))

    def give_up(self, outcome: str) -> None:
        """Settle the attempt under way; the next one starts with ``next_leg``."""
        for account in self._accounts:
            self._billing.ledger.settle(account, outcome)
        self._accounts.clear()

    def join(self, host_id: int, sent_ns: int | None = None) -> None:
        """The request was sent to its model's host, which calls it so, just now or then."""
        ledger, account = self._billing.ledger, self._accounts[-1]
        ledger.join(account, host_id)
        now = time.monotonic_ns() if sent_ns is None else sent_ns
        self._joined_s = now / 1e9
        ledger.open_step(account.slot, now)

    def complete(self) -> None:
        """The engine is through with the leg under way, however slowly its caller reads."""
        self._completed_s = time.monotonic()

    def finish_leg(self) -> tuple[float, int, float]:
        """Return what the leg under way took: seconds, pico-units of money, device seconds."""
        amounts = self._billing.ledger.finish(self._accounts[-1])
        seconds = max(0.0, self._completed_s - self._joined_s)
        return seconds, amounts[MONEY], amounts[TIME] / 1e9

    def finish(self, usage: Usage) -> Cost | None:
        """Return what the request cost, which is final from now on; None without a price."""
        ledger = self._billing.ledger
        return self._billing.cost_of(_sum(map(ledger.finish, self._accounts)), usage)

    def settle(self, outcome: str, usage: Usage | None) -> Spent:
        """Fold the accounts into their lines; return what they came to."""
        ledger = self._billing.ledger
        amounts = _sum(ledger.settle(account, outcome) for account in self._accounts)
        return self._billing.spent(amounts, usage)


class Billing:
    """The machine's ledger, priced by the configuration."""

    def __init__(self, config: CostConfig, models: Sequence[str]) -> None:
        now = time.monotonic_ns()
        self._slots = {model: model for model in models}
        self.currency = config.currency
        self.rate = machine_rate(tariff.price(config))
        self._expose = config.expose
        self.references = tuple(map(tariff.reference, config.references))
        self.energy_source = config.energy
        self.power = Power(config, now)
        meters: dict[str, Meter] = {
            MONEY: Bill(self.rate, now),
            ENERGY: self.power,
            TIME: seconds(now),
        }
        self.ledger = Ledger(meters, models, memory=_machine_memory(), start_ns=now)

    def open(self, model: str, task: Task, tenant: str) -> Charge:
        """Return the account of an admitted request."""
        return Charge(self, Group(task.value, tenant), model)

    def account(self, model: str, group: Group) -> Account:
        """Return a new account on the version of a model that serves now."""
        return self.ledger.open_request(self._slots.get(model, model), group)

    def add(self, slot: str, model: str) -> None:
        """A version of a model is about to load."""
        self.ledger.add(slot, model)

    def serve(self, model: str, slot: str) -> None:
        """Requests for a model go to this version from now on."""
        self._slots[model] = slot

    def retire(self, slot: str) -> None:
        """A version has ended for good."""
        self.ledger.retire(slot, time.monotonic_ns())

    def may_see_cost(self, request: Request) -> bool:
        """Whether the caller is told cost and timing, which give away who else is in the batch."""
        return self._expose == "all" or (self._expose == "admin" and request.caller.admin)

    def on_state(self, slot: str, state: State, pid: int | None) -> None:
        """A slot's host changed its state."""
        now = time.monotonic_ns()
        if state is State.LOADING:
            self.ledger.begin_load(slot, now)
        elif state is State.READY:
            self.ledger.end_load(slot, now, resident_bytes(pid))
        elif state is not State.DRAINING:
            self.ledger.lost(slot, now)

    def on_step(self, slot: str, step: Step, *, more: bool) -> None:
        """A step's report came; ``more`` says that it has work left."""
        done_ns = min(step.done_ns, time.monotonic_ns())
        self.ledger.close_step(
            slot, done_ns, step.done_ns - step.begin_ns, step.computed, more=more
        )

    def statement(self, unit: str, at_ns: int | None = None) -> Statement:
        """Return one unit's page as of now, or of an instant on ``time.monotonic_ns()``."""
        return self.ledger.statement(unit, time.monotonic_ns() if at_ns is None else at_ns)

    def terms(self) -> Iterator[tuple[str, str, float]]:
        """Yield (model, term, seconds) of how each model's steps are shared among requests."""
        for model, terms in self.ledger.coefficients().items():
            for term in ("fixed", "token", "context"):
                yield model, term, getattr(terms, term) / SCALE / 1e9

    def spent(self, amounts: dict[str, int], usage: Usage | None) -> Spent:
        """Return amounts by unit with what the references would have taken for the same."""
        others = {}
        if usage is not None:
            tokens = (usage.input_tokens, usage.output_tokens, usage.cached_tokens)
            others = {one.name: one.cost(*tokens) for one in self.references}
        return Spent(amounts[MONEY], amounts[ENERGY], amounts[TIME], others, self.currency)

    def cost_of(self, amounts: dict[str, int], usage: Usage) -> Cost | None:
        """Return amounts as an answer shows them; None where the machine has no price."""
        if not self.rate:
            return None
        spent = self.spent(amounts, usage)
        return Cost(
            pico=spent.money,
            currency=spent.currency,
            device_seconds=spent.time / 1e9,
            energy_joules=spent.energy / 1e6,
            counterfactual={name: amount / PICO for name, amount in spent.counterfactual.items()},
        )


def _sum(legs: Iterable[dict[str, int]]) -> dict[str, int]:
    total = dict.fromkeys((MONEY, ENERGY, TIME), 0)
    for amounts in legs:
        for unit, amount in amounts.items():
            total[unit] += amount
    return total


def _machine_memory() -> int:
    with Path("/proc/meminfo").open() as file:
        return int(file.readline().split()[1]) * 1024
