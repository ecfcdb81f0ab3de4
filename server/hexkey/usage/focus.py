"""The ledger as FOCUS has it: the FinOps Open Cost and Usage Specification, 1.3, as CSV.

A day of a device's bill is the origin charge of that day's lines, which split it: each is an
allocated charge whose ``AllocatedRatio`` is a decimal, and those of a day and device add up to
exactly 1. They share the origin's dimensions, its description included; what each is for stands in
the ``Allocated`` columns, whose tags are prefixed since they are ours and not the user's. What no
model holds is the unallocated portion, which 1.3 wants without an allocated resource.

A name that would only repeat its id is left out. No price per unit exists here, so the columns of
SKUs and of pricing are empty, as 1.3 wants it; what was used stands in ``x_`` columns.
"""

from __future__ import annotations

import csv
import io
import socket
from collections import defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING

import msgspec

from hexkey.cost.price import DEVICE
from hexkey.cost.split import split
from hexkey.usage.formats import decimal
from hexkey.usage.report import DAY, PICO
from hexkey.usage.row import MACHINE, UNALLOCATED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hexkey.usage.report import Amounts, Key

BY = (DAY, "device", "tenant", "task", "model")
DIGITS = 18
_ONE = 10**DIGITS
_SELF = "Self-hosted"


def export(lines: Mapping[Key, Amounts], by: Sequence[str]) -> str:
    """Return CSV of lines that were summed by ``BY``; the bill is that of this machine."""
    if tuple(by) != BY:
        raise ValueError(f"FOCUS needs lines by {BY}")
    machine = socket.gethostname()
    out = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in _rows(lines, machine):
        if writer is None:
            writer = csv.DictWriter(out, row)
            writer.writeheader()
        writer.writerow(row)
    return out.getvalue()


def _rows(lines: Mapping[Key, Amounts], machine: str) -> Iterator[dict[str, str]]:
    charges: dict[tuple[str, ...], list[tuple[Key, Amounts]]] = defaultdict(list)
    for key, one in lines.items():
        charges[*key.values[:2], key.currency].append((key, one))
    for _, charge in sorted(charges.items()):
        ratios = ratios_of(one for _, one in charge)
        for (key, one), ratio in zip(charge, ratios, strict=True):
            yield _row(key, one, ratio, machine)


def ratios_of(charge: Iterable[Amounts]) -> list[int]:
    """Return each line's part of the charge in units of 1e-18; they add up to 10**18 exactly.

    By cost; where the machine has no price, by its time.
    """
    lines = list(charge)
    for name in ("cost_pico", "device_ns"):
        weights = [max(0, getattr(one, name)) for one in lines]
        if any(weights):
            return split(_ONE, weights)
    return split(_ONE, [1] * len(lines))


def _row(key: Key, one: Amounts, ratio: int, machine: str) -> dict[str, str]:
    day, device, tenant, task, model = key.values
    whole = device == DEVICE
    start = date.fromisoformat(day)
    month = start.replace(day=1)
    cost = decimal(one.cost_pico, PICO)
    device_seconds = decimal(one.device_ns, 10**9)
    element = (
        f'{{"Elements":[{{"AllocatedRatio":{decimal(ratio, _ONE)},'
        f'"UsageUnit":"Seconds","UsageQuantity":{device_seconds}}}]}}'
    )
    names = {"tenant": tenant, "task": task, "model": model}
    tags = {f"hexkey/{name}": value for name, value in names.items()}
    allocated = task != UNALLOCATED
    return {
        "AllocatedMethodDetails": element,
        "AllocatedMethodId": "shapley",
        "AllocatedResourceId": "/".join(names.values()) if allocated else "",
        "AllocatedResourceName": _name(tenant, task, model) if allocated else "",
        "AllocatedTags": msgspec.json.encode(tags).decode() if allocated else "",
        "BilledCost": cost,
        "BillingAccountId": machine,
        "BillingAccountName": "",
        "BillingCurrency": key.currency,
        "BillingPeriodEnd": _midnight((month + timedelta(days=31)).replace(day=1)),
        "BillingPeriodStart": _midnight(month),
        "ChargeCategory": "Usage",
        "ChargeClass": "",
        "ChargeDescription": f"A day of {machine if whole else f'{device} of {machine}'}, "
        "split by what it was used for",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": _midnight(start + timedelta(days=1)),
        "ChargePeriodStart": _midnight(start),
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "HostProviderName": _SELF,
        "InvoiceIssuerName": _SELF,
        "ListCost": cost,
        "PricingQuantity": "",
        "PricingUnit": "",
        "ProviderName": "hexkey",
        "PublisherName": "hexkey",
        "ResourceId": machine if whole else f"{machine}/{device}",
        "ResourceName": "" if whole else device,
        "ResourceType": "Machine" if whole else "Device",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "hexkey",
        "ServiceProviderName": "hexkey",
        "ServiceSubcategory": "Generative AI",
        "x_AudioSeconds": decimal(one.audio_ms, 10**3),
        "x_DeviceSeconds": device_seconds,
        "x_EnergyJoules": decimal(one.energy_uj, 10**6),
        "x_InputTokens": str(one.input_tokens),
        "x_OutputTokens": str(one.output_tokens),
        "x_Requests": str(one.requests),
    }


def _name(tenant: str, task: str, model: str) -> str:
    """Return what a line is for in words; a task such as ``_idle`` is the machine's own."""
    what = task.removeprefix("_").replace("_", " ") + (f" on {model}" if model else "")
    return what if tenant == MACHINE else f"{what} for {tenant or 'anybody'}"


def _midnight(day: date) -> str:
    return f"{day}T00:00:00Z"
