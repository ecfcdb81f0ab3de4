"""The machine's parts: each has its share of the price, its own power and a ledger of its own.

A machine whose parts are not told apart is one device, named ``cost.price.DEVICE``.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    """``rate`` is in pico-units of money an hour; the ledger's units are ``UNITS``."""

    name: str
    rate: int
    energy_source: str
    power: Power
    ledger: Ledger


def devices(config: CostConfig, start_ns: int) -> dict[str, Device]:
    """Return the devices by name, in the configuration's order; what they cost adds up exactly.

    ``OSError`` where a source of energy cannot be read.
    """
    whole = DeviceConfig(DEVICE, "1", watts=config.watts, energy=config.energy)
    parts = config.devices or (whole,)
    shares = {part.name: Decimal(part.share) for part in parts}
    rates = device_rates(machine_rate(tariff.price(config)), shares)
    return {part.name: _device(part, rates[part.name], start_ns) for part in parts}


def _device(part: DeviceConfig, rate: int, start_ns: int) -> Device:
    power = Power(part.energy, part.watts, start_ns)
    ledger = Ledger(
        {MONEY: Bill(rate, start_ns), ENERGY: power, TIME: seconds(start_ns)},
        memory=int(part.memory_gib * GIB) or _machine_memory(),
        start_ns=start_ns,
    )
    return Device(part.name, rate, part.energy, power, ledger)


def _machine_memory() -> int:
    with Path("/proc/meminfo").open() as file:
        return int(file.readline().split()[1]) * 1024
