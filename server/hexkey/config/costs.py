"""What settings of ``cost``, and the devices of models, must be for the sake of others."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

from hexkey.cost.price import device_rates
from hexkey.schema import if_known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hexkey.config.sections import Config, ReferenceConfig

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


def _one_price(config: Config) -> Iterator[str]:
    if config.cost.owned is not None and config.cost.price_per_hour != "0":
        yield "cost.price_per_hour: leave it out where owned is given"


def _worn(config: Config) -> Iterator[str]:
    owned = config.cost.owned
    if owned is not None and Decimal(owned.residual) > Decimal(owned.capex):
        yield "cost.owned.residual: must not be more than capex"


def _instead_of_devices(config: Config) -> Iterator[str]:
    for name, default in (("watts", "0"), ("energy", "static")):
        if config.cost.devices and getattr(config.cost, name, default) != default:
            yield f"cost.{name}: leave it out where devices are given; each has its own"


def _shared(config: Config) -> Iterator[str]:
    shares = {str(at): Decimal(one.share) for at, one in enumerate(config.cost.devices)}
    try:
        if shares:
            device_rates(0, shares)
    except ValueError as error:
        yield f"cost.devices: the shares {error}"


def _counted_once(config: Config) -> Iterator[str]:
    """Say which counters more than one device would be billed for."""
    sources = (set(one.energy.split("+")) for one in config.cost.devices)
    read = Counter(source for several in sources for source in several)
    gpus = [source for source in read if source.startswith("nvml")]
    odd = {source for source, count in read.items() if count > 1 and source != "static"}
    if "nvml" in gpus and len(gpus) > 1:
        odd.add("nvml")
    for source in sorted(odd):
        yield (
            f"cost.devices: the energy of {source} is counted more than once; "
            "give it to one device, single GPUs as nvml:0, nvml:1 and so on"
        )


def _named_once(config: Config) -> Iterator[str]:
    for section in ("devices", "references"):
        names = (getattr(one, "name", None) for one in getattr(config.cost, section, ()))
        for name, times in Counter(filter(None, names)).items():
            if times > 1:
                yield f"cost.{section}: {name!r} is there twice"


def _placed(config: Config) -> Iterator[str]:
    names = [one.name for one in config.cost.devices]
    for index, model in enumerate(config.models):
        path, device = f"models[{index}].device", getattr(model, "device", None)
        if device and not names:
            yield f"{path}: there are no devices to choose from; list them in cost.devices"
        elif device is not None and device not in names and (device or len(names) > 1):
            said = f"found {device!r}" if device else "it is missing"
            yield f"{path}: expected one of {', '.join(names)}; {said}"


def _referred(config: Config) -> Iterator[str]:
    for index, one in enumerate(config.cost.references):
        yield from (f"cost.references[{index}]: {line}" for line in if_known(_priced(one)))


def _priced(one: ReferenceConfig) -> Iterator[str]:
    listed, hosted = _given(one, LISTED), _given(one, HOSTED)
    owned = bool(_given(one, ["price_per_hour"]))
    if not owned and (hosted or not listed):
        yield f"give prices, of {', '.join(LISTED)}, or else price_per_hour with speeds"
    elif owned and (listed or not hosted):
        yield f"give price_per_hour with speeds, of {', '.join(HOSTED)}, or else prices"
    else:
        pair = SPEEDS if owned else TOKENS
        half = {*listed, *hosted} & {*pair}
        if (half and half != {*pair}) or (CACHED in listed and not half):
            yield f"{' and '.join(pair)} go together"


def _given(one: ReferenceConfig, names: Iterable[str]) -> list[str]:
    """Return those that are given; one that is wrong is given, too."""
    return [name for name in names if getattr(one, name, "") is not None]


CHECKS: tuple[Callable[[Config], Iterator[str]], ...] = (
    _one_price,
    _worn,
    _instead_of_devices,
    _shared,
    _counted_once,
    _named_once,
    _placed,
    _referred,
)
