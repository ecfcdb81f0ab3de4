"""What is wrong with the section ``cost``, and with where models are placed on its devices."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING

from hexkey.config.bounds import negative, not_decimal
from hexkey.cost.price import Owned, device_rates

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hexkey.config.sections import (
        Config,
        CostConfig,
        DeviceConfig,
        OwnedConfig,
        ReferenceConfig,
    )

TOKENS = ("input_per_million", "output_per_million")
CACHED = "cached_per_million"
LISTED = (
    *TOKENS, CACHED, "characters_per_million", "audio_per_minute", "requests_per_thousand",
)  # fmt: skip
"""Prices that a service may have."""
SPEEDS = ("input_per_second", "output_per_second")
HOSTED = (
    *SPEEDS, "characters_per_second", "audio_per_second", "requests_per_second",
)  # fmt: skip
"""Speeds that a machine of one's own may have."""
_SOURCE = re.compile(r"static|rapl|nvml(:\d{1,2})?")
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def check_cost(cost: CostConfig) -> list[str]:
    """Return lines of ``path: what to do``."""
    errors = not_decimal(cost, ("price_per_hour", "watts"))
    if not re.fullmatch("[A-Z]{3}", cost.currency):
        errors.append(f"currency: expected three letters such as EUR, found {cost.currency!r}")
    if cost.expose not in {"all", "admin", "none"}:
        errors.append(f"expose: expected all, admin or none, found {cost.expose!r}")
    if cost.owned is not None:
        errors += _check_owned(cost.owned)
        if cost.price_per_hour != "0":
            errors.append("price_per_hour: leave it out where owned is given")
    errors += _check_energy(cost.energy)
    errors += _check_devices(cost)
    for index, one in enumerate(cost.references):
        errors += [f"references[{index}]{line}" for line in _check_reference(one)]
    errors += [f"references: {one!r} is there twice" for one in _twice(cost.references)]
    return errors


def check_placement(config: Config) -> list[str]:
    """Return what is wrong with where the models are."""
    names = [one.name for one in config.cost.devices]
    errors = []
    for index, model in enumerate(config.models):
        path = f"models[{index}].device"
        if model.device and not names:
            errors.append(f"{path}: there are no devices to choose from; list them in cost.devices")
        elif model.device not in names and (model.device or len(names) > 1):
            said = f"found {model.device!r}" if model.device else "it is missing"
            errors.append(f"{path}: expected one of {', '.join(names)}; {said}")
    return errors


def _check_devices(cost: CostConfig) -> list[str]:
    if not cost.devices:
        return []
    errors = []
    for index, one in enumerate(cost.devices):
        wrong = not_decimal(one, ("share", "watts"))
        wrong += negative(one, ("memory_gib",))
        wrong += _check_energy(one.energy)
        if not _DEVICE.fullmatch(one.name):
            wrong.append("name: letters, digits and . _ - only, 63 at most")
        errors += [f"devices[{index}].{line}" for line in wrong]
    errors += [f"devices: {one!r} is there twice" for one in _twice(cost.devices)]
    errors += [
        f"{name}: leave it out where devices are given; each has its own"
        for name, default in (("watts", "0"), ("energy", "static"))
        if getattr(cost, name) != default
    ]
    if errors:
        return errors
    try:
        device_rates(0, {one.name: Decimal(one.share) for one in cost.devices})
    except ValueError as error:
        errors.append(f"devices: the shares {error}")
    return errors + _counted_twice(cost.devices)


def _counted_twice(devices: Sequence[DeviceConfig]) -> list[str]:
    """Return what is wrong with counters that more than one device would be billed for."""
    read = Counter(source for one in devices for source in set(one.energy.split("+")))
    gpus = [source for source in read if source.startswith("nvml")]
    odd = [source for source, count in read.items() if count > 1 and source != "static"]
    if "nvml" in gpus and len(gpus) > 1:
        odd.append("nvml")
    return [
        f"devices: the energy of {source} is counted more than once; "
        "give it to one device, single GPUs as nvml:0, nvml:1 and so on"
        for source in sorted(set(odd))
    ]


def _check_energy(energy: str) -> list[str]:
    sources = energy.split("+")
    if all(map(_SOURCE.fullmatch, sources)) and len(set(sources)) == len(sources):
        return []
    known = "static, rapl, nvml, one GPU such as nvml:0, or some of them such as rapl+nvml"
    return [f"energy: expected {known}, found {energy!r}"]


def _check_owned(owned: OwnedConfig) -> list[str]:
    names = tuple(one.name for one in fields(owned) if one.name != "months")
    errors = [f"owned.{line}" for line in not_decimal(owned, names)]
    if errors:
        return errors
    try:
        Owned(months=owned.months, **{name: Decimal(getattr(owned, name)) for name in names})
    except ValueError as error:
        return [f"owned.{error}"]
    return []


def _check_reference(one: ReferenceConfig) -> list[str]:
    listed, hosted = _given(one, LISTED), _given(one, HOSTED)
    if one.price_per_hour is None:
        if hosted or not listed:
            return [f": give prices, of {', '.join(LISTED)}, or else price_per_hour with speeds"]
        pair = TOKENS
    else:
        if listed or not hosted:
            return [f": give price_per_hour with speeds, of {', '.join(HOSTED)}, or else prices"]
        pair = SPEEDS
    given = {*listed, *hosted}
    half = given & set(pair)
    if (half and half != set(pair)) or (CACHED in given and not half):
        return [f": {' and '.join(pair)} go together"]
    errors = [f".{line}" for line in not_decimal(one, sorted(given))]
    if one.price_per_hour is not None:
        errors += [f".{line}" for line in not_decimal(one, ("price_per_hour",))]
    return errors or [
        f".{name}: must be greater than 0" for name in hosted if not Decimal(getattr(one, name))
    ]


def _given(one: ReferenceConfig, names: Iterable[str]) -> list[str]:
    return [name for name in names if getattr(one, name) is not None]


def _twice(named: Sequence[DeviceConfig | ReferenceConfig]) -> list[str]:
    return sorted(name for name, times in Counter(one.name for one in named).items() if times > 1)
