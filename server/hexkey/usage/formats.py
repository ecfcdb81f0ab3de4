"""Reports for people (a table) and for programs (CSV, JSON)."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import msgspec

from hexkey.usage.report import PICO, total

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hexkey.usage.report import Amounts, Key

NUMBERS = (
    "requests", "input_tokens", "output_tokens", "input_characters", "audio_seconds",
    "device_seconds", "energy_joules", "cost", "currency",
)  # fmt: skip
_GAP = "  "


def table(lines: Mapping[Key, Amounts], by: Sequence[str]) -> str:
    """Return columns for people: sorted by cost, with each line's share and the whole."""
    if not lines:
        return "Nothing was recorded in that time.\n"
    sums = {
        currency: total(one for key, one in lines.items() if key.currency == currency)
        for currency in sorted({key.currency for key in lines})
    }
    rows = [(*by, "requests", "tokens in", "out", "device s", "cost", "", "share")]
    for key, one in lines.items():
        whole = sums[key.currency].cost_pico
        share = f"{100 * one.cost_pico / whole:.1f} %" if whole else ""
        rows.append((*(value or "-" for value in key.values), *_cells(one, key.currency), share))
    for currency, one in sums.items():
        name = ("total", *[""] * (len(by) - 1)) if by else ()
        rows.append((*name, *_cells(one, currency), ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    # The currency follows its number, so it is set to the left as texts are.
    left = {*range(len(by)), len(by) + 5}
    text = [
        _GAP.join(
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join(text) + "\n"


def comma_separated(lines: Mapping[Key, Amounts], by: Sequence[str]) -> str:
    """Return CSV (RFC 4180) with exact decimals."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow((*by, *NUMBERS))
    writer.writerows(
        (*key.values, *_exact(one, key.currency).values()) for key, one in lines.items()
    )
    return out.getvalue()


def json(lines: Mapping[Key, Amounts], by: Sequence[str]) -> str:
    """Return a JSON list of objects; amounts that are not whole are decimal texts."""
    objects = [
        {**dict(zip(by, key.values, strict=True)), **_exact(one, key.currency)}
        for key, one in lines.items()
    ]
    return msgspec.json.format(msgspec.json.encode(objects), indent=2).decode() + "\n"


def decimal(amount: int, unit: int) -> str:
    """Return ``amount / unit`` as an exact decimal; ``unit`` is a power of ten."""
    whole, rest = divmod(abs(amount), unit)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{rest:0{len(str(unit)) - 1}d}"


def _exact(one: Amounts, currency: str) -> dict[str, int | str]:
    values = (
        one.requests, one.input_tokens, one.output_tokens, one.input_characters,
        decimal(one.audio_ms, 10**3), decimal(one.device_ns, 10**9), decimal(one.energy_uj, 10**6),
        decimal(one.cost_pico, PICO), currency,
    )  # fmt: skip
    return dict(zip(NUMBERS, values, strict=True))


def _cells(one: Amounts, currency: str) -> tuple[str, ...]:
    return (
        f"{one.requests:,}", f"{one.input_tokens:,}", f"{one.output_tokens:,}",
        f"{one.device_ns / 1e9:,.1f}", f"{one.cost_pico / PICO:,.6f}", currency,
    )  # fmt: skip
