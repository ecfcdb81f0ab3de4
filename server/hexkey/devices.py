"""The machine's parts: each has its share of the price, its own power and a ledger of its own.

A machine whose parts are not told apart is one device, named ``cost.price.DEVICE``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from hexkey import tariff
from hexkey.config import DeviceConfig
from hexkey.cost.ledger import Ledger
from hexkey.cost.price import DEVICE, Bill, device_rates, machine_rate, seconds
from hexkey.power import Power

if TYPE_CHECKING:
    from hexkey.config import CostConfig

MONEY, ENERGY, TIME = "money", "energy", "time"
UNITS = (MONEY, ENERGY, TIME)
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Device:
    """The ledger's units are ``UNITS``; ``bill`` is the meter of its money."""

    name: str
    energy_source: str
    power: Power
    bill: Bill
    ledger: Ledger

    @property
    def rate(self) -> int:
        """Pico-units of money an hour."""
        return self.bill.rate


def devices(config: CostConfig, start_ns: int) -> dict[str, Device]:
    """Return the devices by name, in the configuration's order.

    ``OSError`` where a source of energy cannot be read.
    """
    priced = rates(config)
    return {part.name: _device(part, priced[part.name], start_ns) for part in _parts(config)}


def rates(config: CostConfig) -> dict[str, int]:
    """Return what each device costs an hour, in pico-units; together what the machine does."""
    shares = {part.name: Decimal(part.share) for part in _parts(config)}
    return device_rates(machine_rate(tariff.price(config)), shares)


def fixed(config: CostConfig) -> tuple[object, ...]:
    """Return what of a configuration the ledgers of a running server are built on."""
    parts = (replace(part, share="") for part in _parts(config))
    return config.currency, config.watts, config.energy, *parts


def _parts(config: CostConfig) -> tuple[DeviceConfig, ...]:
    whole = DeviceConfig(DEVICE, "1", watts=config.watts, energy=config.energy)
    return config.devices or (whole,)


def _device(part: DeviceConfig, rate: int, start_ns: int) -> Device:
    power = Power(part.energy, part.watts, start_ns)
    bill = Bill(rate, start_ns)
    ledger = Ledger(
        {MONEY: bill, ENERGY: power, TIME: seconds(start_ns)},
        memory=int(part.memory_gib * GIB) or _machine_memory(),
        start_ns=start_ns,
    )
    return Device(part.name, part.energy, power, bill, ledger)


def _machine_memory() -> int:
    with Path("/proc/meminfo").open() as file:
        return int(file.readline().split()[1]) * 1024
