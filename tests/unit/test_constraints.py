"""Constraints as headers and as fields: read alike, the field first, nonsense named."""

from __future__ import annotations

import pytest

from hexkey.errors import ServeError
from hexkey.types import UNCONSTRAINED, Constraints
from hexkey.wire.constraints import HEADERS, MAX_COST, MAX_LATENCY, joined, of_headers, pico


def test_headers_are_read() -> None:
    sent = dict(zip(HEADERS, ("0.0001", "250", "region=eu, tier=a"), strict=True))
    assert of_headers(sent) == Constraints(
        max_cost_pico=10**8, max_latency_s=0.25, labels={"region": "eu", "tier": "a"}
    )
    assert of_headers({}) is UNCONSTRAINED


def test_a_field_says_more_than_a_header() -> None:
    headers = Constraints(max_cost_pico=1, max_latency_s=1.0, labels={"region": "eu", "a": "b"})
    own = Constraints(max_cost_pico=2, labels={"region": "us"})
    assert joined(own, headers) == Constraints(
        max_cost_pico=2, max_latency_s=1.0, labels={"region": "us", "a": "b"}
    )
    assert joined(own, UNCONSTRAINED) is own


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("0.000000000001", 1),
        ("1e-9", 1000),
        ("12.5", 125 * 10**11),
        (repr(0.1 + 0.2), 3 * 10**11),
        (repr(0.1 * 0.0003), 29999999),
        (repr(5e-324), 0),
    ],
)
def test_money_is_exact(text: str, amount: int) -> None:
    assert pico(text, "x") == amount


@pytest.mark.parametrize("text", ["", "-1", "1,5", "nan", "inf", "1e9", "9" * 50, "0x1", "\u0661"])
def test_what_is_no_money_is_named(text: str) -> None:
    with pytest.raises(ServeError) as caught:
        pico(text, "constraints.max_cost")
    assert caught.value.param == "constraints.max_cost"


@pytest.mark.parametrize(
    "sent",
    [
        {MAX_LATENCY: "soon"},
        {MAX_COST: "cheap"},
        {HEADERS[2]: "region"},
        {HEADERS[2]: "=eu"},
        {HEADERS[2]: "region=eu,,"},
    ],
)
def test_a_header_that_cannot_be_read_is_named(sent: dict[str, str]) -> None:
    with pytest.raises(ServeError) as caught:
        of_headers(sent)
    assert caught.value.param in sent
