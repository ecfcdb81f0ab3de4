"""Sums of usage, and how they are printed: exact, whatever they are told apart by."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from hexkey.config import parse_config
from hexkey.provisioning import spent_before, translated_before
from hexkey.usage import focus, formats, report
from hexkey.usage import store as store_module
from hexkey.usage.period import instant, micros
from hexkey.usage.report import Amounts, Key
from hexkey.usage.row import MACHINE, UNALLOCATED, Row
from tests.unit.usage.rows import DAY_US, NOON_US, row, store

NOW = datetime(2026, 11, 25, 18, tzinfo=UTC)
ALL: dict[str, Any] = {"since_us": NOON_US - 300 * DAY_US, "until_us": NOON_US + 300 * DAY_US}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = store(tmp_path)
    rows = [
        row(),
        row(tenant="other", cost_pico=(1 << 63) - 1),
        row(tenant="other", cost_pico=(1 << 63) - 1, model="pt-en"),
        row(at_us=NOON_US - DAY_US, task="chat", outcome="cancelled", cost_pico=7),
        row(currency="USD"),
        row(tenant=MACHINE, task="_idle", protocol="", outcome="", request_id="", cost_pico=11),
        row(tenant=MACHINE, task=UNALLOCATED, protocol="", outcome="", model="", cost_pico=5),
        row(device="gpu0", cost_pico=13),
        row(device="gpu0", protocol="", tenant=MACHINE, task="_given_up", model="", cost_pico=3),
    ]
    made.write([(str(number), one) for number, one in enumerate(rows)])
    made.close()
    return tmp_path


@pytest.mark.parametrize("by", [(), ("tenant",), ("task", "model"), report.KEYS])
def test_all_rows_are_in_the_sums_whatever_they_are_by(folder: Path, by: tuple[str, ...]) -> None:
    lines = report.totals(folder, by, **ALL)
    euros = report.total(one for key, one in lines.items() if key.currency == "EUR")
    # More than a 64-bit integer holds, and exact.
    assert euros.cost_pico == 1_500_000 + 2 * ((1 << 63) - 1) + 7 + 11 + 5 + 13 + 3
    assert report.total(lines.values()).requests == 6
    assert report.total(lines.values()).device_ns == 9 * 15_000_000


def test_only_the_time_asked_for_is_summed(folder: Path) -> None:
    day = report.totals(folder, ("day",), since_us=NOON_US - DAY_US, until_us=NOON_US)
    assert [key.values for key in day] == [("2026-11-24",)]
    assert report.totals(folder, (), since_us=NOON_US + 1, until_us=NOON_US + 2) == {}


def test_a_file_that_is_broken_is_named(folder: Path) -> None:
    (folder / "usage-2026-11-25.sqlite").write_bytes(b"x" * 8192)
    with pytest.raises(OSError, match=r"usage-2026-11-25.sqlite cannot be read"):
        report.totals(folder, (), **ALL)


def test_a_file_that_was_never_written_to_holds_nothing(folder: Path) -> None:
    lines = report.totals(folder, (), **ALL)
    (folder / "usage-2026-11-20.sqlite").touch()
    assert report.totals(folder, (), **ALL) == lines


@pytest.mark.parametrize("budget", ["0", "5"])
def test_a_server_that_cannot_read_all_of_its_ledger_starts(folder: Path, budget: str) -> None:
    config = parse_config(
        f"""
        usage: {{folder: "{folder}"}}
        cost: {{currency: EUR}}
        access: {{tenants: [{{name: acme, budget_per_month: "{budget}"}}]}}
        models: [{{name: m, engine: fake, tasks: [chat]}}]
        """.encode()
    )
    made = store(folder)
    now = time.time_ns() // 1000
    made.write([("now", row(at_us=now))])
    made.close()
    (folder / f"usage-{store_module.day_of(now).replace(day=1)}.sqlite").write_bytes(b"x" * 8192)
    with capture_logs() as lines:
        spent = spent_before(config)
        translated_before(config)
    lost = [line["lost"] for line in lines]
    assert lost.pop() == "what tenants had translated"
    if budget == "0":
        assert (spent, lost) == ({}, [])
    else:
        assert set(lost) == {"what tenants spent"}


def test_a_ledger_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.write([("a", row())])
    assert report.total(report.totals(tmp_path, (), **ALL).values()).requests == 1
    made.write([("b", row())])
    assert report.total(report.totals(tmp_path, (), **ALL).values()).requests == 2
    made.close()


def test_a_table_is_for_people(folder: Path) -> None:
    by = ("tenant", "task")
    lines = report.totals(folder, by, **ALL)
    text = formats.table(lines, by)
    head, first, *_, last = text.splitlines()
    assert re.split("  +", head) == [
        *by,
        "requests",
        "tokens in",
        "out",
        "device s",
        "cost",
        "share",
    ]
    assert first.split()[:3] == ["other", "translate", "2"]
    assert first.split()[-2:] == ["100.0", "%"]
    assert last.split()[0] == "total"
    assert last.split()[-1] == "USD"
    assert len({len(line) for line in text.splitlines()[1:-2]}) == 1
    assert "Nothing" in formats.table({}, ())


def test_csv_and_json_are_exact(folder: Path) -> None:
    by = ("tenant", "task")
    lines = report.totals(folder, by, **ALL)
    table = list(csv.DictReader(io.StringIO(formats.comma_separated(lines, by))))
    objects = json.loads(formats.json(lines, by))
    assert [{**one, "requests": int(one["requests"])} for one in table] == [
        {name: str(value) if name != "requests" else value for name, value in one.items()}
        for one in objects
    ]
    assert Decimal(table[0]["cost"]) == Decimal(2 * ((1 << 63) - 1)) / 10**12
    assert table[0]["energy_joules"] == "0.600000"


def focus_rows(lines: dict[Key, Amounts]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(focus.export(lines, focus.BY))))


def ratio(line: dict[str, str]) -> Decimal:
    (element,) = json.loads(line["AllocatedMethodDetails"], parse_float=Decimal)["Elements"]
    assert set(element) == {"AllocatedRatio", "UsageUnit", "UsageQuantity"}
    value: Decimal = element["AllocatedRatio"]
    return value


def test_focus_splits_each_days_bill_exactly(folder: Path) -> None:
    lines = report.totals(folder, focus.BY, **ALL)
    rows = focus_rows(lines)
    assert len(rows) == len(lines)
    charges: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for one in rows:
        origin = (one["ChargePeriodStart"], one["ResourceId"], one["BillingCurrency"])
        charges.setdefault(origin, []).append(one)
    assert len(charges) == 4
    for charge in charges.values():
        # All dimensions but what tells the parts apart are the origin's.
        assert len({tuple(one[name] for name in DIMENSIONS) for one in charge}) == 1
        assert sum(map(ratio, charge)) == 1
        whole = sum(Decimal(one["BilledCost"]) for one in charge)
        for one in charge:
            assert ratio(one) * whole == pytest.approx(
                Decimal(one["BilledCost"]), abs=Decimal("1e-9")
            )
    assert {one["x_Requests"] for one in rows if MACHINE in one["AllocatedResourceId"]} == {"0"}


DIMENSIONS = (
    "BillingAccountId", "ChargeCategory", "ChargeDescription", "ChargeFrequency", "ResourceId",
    "ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "ServiceSubcategory",
)  # fmt: skip


def test_a_focus_line_says_in_words_what_it_is_for(folder: Path) -> None:
    machine = socket.gethostname()
    rows = focus_rows(report.totals(folder, focus.BY, **ALL))
    names = {one["ResourceId"]: set[str]() for one in rows}
    for one in rows:
        names[one["ResourceId"]].add(one["AllocatedResourceName"])
    assert names[f"{machine}/gpu0"] == {"translate on en-pt for acme", "given up"}
    assert names[machine] >= {"idle on en-pt", "chat on en-pt for acme", ""}
    said = {one["ChargeDescription"] for one in rows if one["ResourceName"] == "gpu0"}
    assert said == {f"A day of gpu0 of {machine}, split by what it was used for"}


# The columns that FOCUS 1.3 has as mandatory, and those of them that may not be empty.
NOT_EMPTY = {
    "BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost", "EffectiveCost",
    "HostProviderName", "InvoiceIssuerName", "ListCost", "ProviderName", "PublisherName",
    "ServiceCategory", "ServiceName", "ServiceProviderName",
}  # fmt: skip
MANDATORY = NOT_EMPTY | {
    "BillingAccountName", "ChargeClass", "ChargeDescription", "PricingQuantity", "PricingUnit",
}  # fmt: skip


def test_focus_has_every_mandatory_column(folder: Path) -> None:
    rows = focus_rows(report.totals(folder, focus.BY, **ALL))
    for one in rows:
        assert set(one) >= MANDATORY
        assert all(one[name] for name in NOT_EMPTY)
        own = [name for name in one if name.startswith("x_")]
        assert own
        assert one["BillingPeriodStart"] == "2026-11-01T00:00:00Z"
        assert one["BillingPeriodEnd"] == "2026-12-01T00:00:00Z"
        resource = ("AllocatedResourceId", "AllocatedResourceName", "AllocatedTags")
        if one["AllocatedResourceId"]:
            assert all(one[name] for name in resource)
            tags = {"hexkey/tenant", "hexkey/task", "hexkey/model"}
            assert set(json.loads(one["AllocatedTags"])) == tags
        else:
            assert not any(one[name] for name in resource)
    assert sum(not one["AllocatedResourceId"] for one in rows) == 1


AMOUNTS = st.builds(Amounts, cost_pico=st.integers(-5, 10**20), device_ns=st.integers(0, 10**15))


@given(st.lists(AMOUNTS, min_size=1, max_size=40))
def test_ratios_always_add_up_to_one(charge: list[Amounts]) -> None:
    ratios = focus.ratios_of(charge)
    assert sum(ratios) == 10**focus.DIGITS
    assert min(ratios) >= 0


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("30m", NOW - timedelta(minutes=30)),
        ("0d", NOW),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T12:00:00+02:00", datetime(2026, 11, 1, 10, tzinfo=UTC)),
    ],
)
def test_an_instant_can_be_told_in_ways(text: str, means: datetime) -> None:
    assert instant(text, NOW) == means
    assert micros(means) == round(means.timestamp() * 1e6)


@pytest.mark.parametrize("text", ["", "d", "7y", "yesterday", "-1d", "999999d"])
def test_what_is_no_instant_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="such as 7d"):
        instant(text, NOW)


def test_a_row_has_no_room_for_text_of_a_request() -> None:
    texts = {name for name, kind in Row.__annotations__.items() if "str" in str(kind)}
    assert texts == {
        "request_id", "protocol", "tenant", "task", "model", "outcome", "code", "currency",
        "device",
    }  # fmt: skip
