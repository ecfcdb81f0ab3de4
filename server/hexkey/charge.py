"""What one request costs, leg by leg, from the moment that it is admitted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hexkey.cost.counterfactual import Work
from hexkey.cost.price import PICO
from hexkey.devices import ENERGY, MONEY, TIME
from hexkey.tasks import Unit
from hexkey.types import Cost

if TYPE_CHECKING:
    from hexkey.cost.accounts import Account
    from hexkey.cost.statement import Group
    from hexkey.devices import Device
    from hexkey.types import Usage


class Part(NamedTuple):
    """What a request cost on one device; ``model`` is the last one that served it there."""

    device: str
    model: str
    money: int
    energy: int
    time: int


class Spent(NamedTuple):
    """What one request cost: money in pico-units, energy in microjoules, time in nanoseconds.

    ``parts`` add up to it, one for each device, in the order in which the request left them.
    """

    money: int
    energy: int
    time: int
    counterfactual: dict[str, int]
    currency: str
    parts: tuple[Part, ...]


class Leg:
    """One leg of an attempt: its account, and what it read and wrote once it is complete."""

    __slots__ = ("_amounts", "account", "device", "model", "usage")

    def __init__(self, model: str, device: Device, account: Account) -> None:
        self.model = model
        self.device = device
        self.account = account
        self.usage: tuple[int, int, int] | None = None
        self._amounts: dict[str, int] | None = None

    def finish(self) -> dict[str, int]:
        """Return what the leg cost, by unit, which is final from now on."""
        if self._amounts is None:
            self._amounts = self.device.ledger.finish(self.account)
        return self._amounts

    def settle(self, outcome: str) -> dict[str, int]:
        """Finish the leg and fold its account into its line."""
        return self.device.ledger.settle(self.account, outcome)


class House(Protocol):
    """What a charge needs of the books; see ``hexkey.billing``."""

    currency: str

    @property
    def rate(self) -> int:
        """What the machine costs an hour, in pico-units."""

    def leg(self, model: str, group: Group) -> Leg:
        """Return a leg with a new account on the version of a model that serves now."""

    def elsewhere(self, work: Work) -> dict[str, int]:
        """Return what each reference would have taken for the same, in pico-units."""


class Charge:
    """One request's accounts, one for each leg of the attempt under way.

    ``settle`` is called once, whatever happened. What an attempt cost that was given up is no
    part of what the request cost: it counts as waste of the model that failed.
    """

    __slots__ = ("_completed_s", "_group", "_house", "_joined_s", "_legs", "_spent", "_unit")

    def __init__(self, house: House, group: Group, unit: Unit, model: str) -> None:
        self._house = house
        self._group = group
        self._unit = unit
        self._legs = [house.leg(model, group)]
        self._spent: Spent | None = None
        self._joined_s = self._completed_s = time.monotonic()

    def next_leg(self, model: str) -> None:
        """The request goes on, or begins anew, on this model."""
        if self._legs:
            self._legs[-1].finish()
        self._legs.append(self._house.leg(model, self._group))
        self._spent = None

    def give_up(self, outcome: str) -> None:
        """Settle the attempt under way; the next one starts with ``next_leg``."""
        for leg in self._legs:
            leg.settle(outcome)
        self._legs.clear()
        self._spent = None

    def join(self, host_id: int, sent_ns: int | None = None) -> None:
        """The request was sent to its model's host, which calls it so, just now or then."""
        leg = self._legs[-1]
        leg.device.ledger.join(leg.account, host_id)
        now = time.monotonic_ns() if sent_ns is None else sent_ns
        self._joined_s = now / 1e9
        leg.device.ledger.open_step(leg.account.slot, now)

    def complete(self) -> None:
        """The engine is through with the leg under way, however slowly its caller reads."""
        self._completed_s = time.monotonic()

    def finish_leg(self, usage: Usage) -> tuple[float, int, float]:
        """Return what the leg under way took: seconds, pico-units of money, device seconds.

        ``usage`` is the leg's own.
        """
        leg = self._legs[-1]
        leg.usage = usage.input_tokens, usage.output_tokens, usage.cached_tokens
        amounts = leg.finish()
        seconds = max(0.0, self._completed_s - self._joined_s)
        return seconds, amounts[MONEY], amounts[TIME] / 1e9

    def finish(self, usage: Usage) -> Cost | None:
        """Return what the request cost, which is final from now on; None without a price."""
        self._spent = spent = self._sum([leg.finish() for leg in self._legs], usage)
        if not self._house.rate:
            return None
        return Cost(
            pico=spent.money,
            currency=spent.currency,
            device_seconds=spent.time / 1e9,
            energy_joules=spent.energy / 1e6,
            counterfactual={name: amount / PICO for name, amount in spent.counterfactual.items()},
        )

    def settle(self, outcome: str, usage: Usage | None) -> Spent:
        """Fold the accounts into their lines; return what they came to."""
        amounts = [leg.settle(outcome) for leg in self._legs]
        return self._spent or self._sum(amounts, usage)

    def _sum(self, amounts: list[dict[str, int]], usage: Usage | None) -> Spent:
        parts: dict[str, Part] = {}
        for leg, one in zip(self._legs, amounts, strict=True):
            name = leg.device.name
            before = parts.pop(name, Part(name, "", 0, 0, 0))
            parts[name] = Part(
                name,
                leg.model,
                before.money + one[MONEY],
                before.energy + one[ENERGY],
                before.time + one[TIME],
            )
        return Spent(
            money=sum(part.money for part in parts.values()),
            energy=sum(part.energy for part in parts.values()),
            time=sum(part.time for part in parts.values()),
            counterfactual=self._house.elsewhere(self._work(usage)) if usage else {},
            currency=self._house.currency,
            parts=tuple(parts.values()),
        )

    def _work(self, usage: Usage) -> Work:
        """Return the request as one go: what its first leg read and its last leg wrote.

        Text that goes through a third language is read and written twice here, and once by whoever
        knows the way.
        """
        tokens = usage.input_tokens, usage.output_tokens, usage.cached_tokens
        legs = [leg.usage for leg in self._legs if leg.usage is not None]
        first, last = (legs[0], legs[-1]) if legs else (tokens, tokens)
        return Work(
            input_tokens=first[0],
            output_tokens=last[1],
            cached_tokens=first[2],
            characters=usage.input_characters if self._unit is Unit.CHARACTERS else 0,
            audio_ms=(round(usage.audio_seconds * 1000) if self._unit is Unit.AUDIO_SECONDS else 0),
        )
