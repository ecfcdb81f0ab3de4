"""Quotas: never more than the bound, and what was not used comes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.errors import Code, ServeError
from hexkey.identity.quota import Allowance, Quotas

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def quotas(allowance: Allowance) -> Quotas:
    made = Quotas()
    made.allow({"acme": allowance}, 0.0, NOON)
    return made


def refusal(
    made: Quotas, tokens: int, now: float, utc: datetime = NOON, tenant: str = "acme"
) -> ServeError:
    with pytest.raises(ServeError) as caught:
        made.reserve(tenant, tokens, now, utc)
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    return caught.value


def test_a_tenant_without_an_allowance_is_unbounded() -> None:
    made = quotas(Allowance(requests_per_minute=1))
    for _ in range(100):
        made.settle(made.reserve("other", 10**9, 0.0, NOON), 1, 10**15, 0.0, NOON)


def test_requests_come_back_with_time_and_the_hint_says_when() -> None:
    made = quotas(Allowance(requests_per_minute=2))
    made.reserve("acme", 1, 0.0, NOON)
    made.reserve("acme", 1, 0.0, NOON)
    refused = refusal(made, 1, 0.0)
    assert refused.reason == "REQUESTS_EXHAUSTED"
    assert refused.retry_after_s == pytest.approx(30.0)
    refusal(made, 1, 29.9)
    made.reserve("acme", 1, 30.0, NOON)


def test_what_was_reserved_and_not_used_is_given_back() -> None:
    made = quotas(Allowance(tokens_per_minute=1000))
    held = made.reserve("acme", 900, 0.0, NOON)
    assert refusal(made, 200, 0.0).reason == "TOKENS_EXHAUSTED"
    made.settle(held, 100, 0, 0.0, NOON)
    made.reserve("acme", 900, 0.0, NOON)


def test_a_request_larger_than_the_bucket_takes_it_whole() -> None:
    made = quotas(Allowance(tokens_per_minute=1000))
    made.settle(made.reserve("acme", 10**6, 0.0, NOON), 3000, 0, 0.0, NOON)
    assert refusal(made, 1, 0.0).retry_after_s == pytest.approx(60.0 * 2001 / 1000)


def test_a_number_at_once() -> None:
    made = quotas(Allowance(concurrent=1))
    held = made.reserve("acme", 1, 0.0, NOON)
    assert refusal(made, 1, 0.0).reason == "CONCURRENCY_EXHAUSTED"
    made.settle(held, 1, 0, 0.0, NOON)
    made.reserve("acme", 1, 0.0, NOON)


def test_budgets_are_renewed_with_the_day_and_the_month() -> None:
    made = quotas(Allowance(budget_per_day=100, budget_per_month=150))
    made.settle(made.reserve("acme", 1, 0.0, NOON), 1, 120, 0.0, NOON)
    refused = refusal(made, 1, 0.0)
    assert refused.reason == "BUDGET_EXHAUSTED"
    assert refused.retry_after_s == 12 * 3600
    tomorrow = NOON + timedelta(days=1)  # the first of December
    made.settle(made.reserve("acme", 1, 0.0, tomorrow), 1, 90, 0.0, NOON)
    second = NOON + timedelta(days=2)
    made.settle(made.reserve("acme", 1, 0.0, second), 1, 90, 0.0, NOON)
    refused = refusal(made, 1, 0.0, second)
    assert "month" in refused.message
    assert refused.retry_after_s == 29 * 86400 + 12 * 3600


def test_a_clock_set_back_renews_nothing() -> None:
    made = quotas(Allowance(budget_per_day=100))
    made.settle(made.reserve("acme", 1, 0.0, NOON), 1, 100, 0.0, NOON)
    refusal(made, 1, 0.0, NOON - timedelta(days=2))


def test_new_allowances_keep_what_was_used() -> None:
    made = quotas(Allowance(budget_per_day=100, requests_per_minute=1))
    made.settle(made.reserve("acme", 1, 0.0, NOON), 1, 60, 0.0, NOON)
    made.allow({"acme": Allowance(budget_per_day=50, requests_per_minute=1)}, 0.0, NOON)
    assert refusal(made, 1, 0.0).reason == "BUDGET_EXHAUSTED"
    made.allow({"acme": Allowance(budget_per_day=100, requests_per_minute=1)}, 0.0, NOON)
    assert refusal(made, 1, 0.0).reason == "REQUESTS_EXHAUSTED"


def test_what_settles_after_midnight_is_spent_on_the_new_day() -> None:
    made = quotas(Allowance(budget_per_day=100))
    held = made.reserve("acme", 1, 0.0, NOON)
    tomorrow = NOON + timedelta(days=1)
    made.settle(held, 1, 100, 0.0, tomorrow)
    assert refusal(made, 1, 0.0, tomorrow).reason == "BUDGET_EXHAUSTED"


def test_what_began_before_its_tenant_was_bounded_settles_with_nobody() -> None:
    made = quotas(Allowance())
    early = made.reserve("late", 1, 0.0, NOON)
    made.allow({"late": Allowance(concurrent=1)}, 0.0, NOON)
    made.reserve("late", 1, 0.0, NOON)
    made.settle(early, 1, 0, 0.0, NOON)
    assert refusal(made, 1, 0.0, tenant="late").reason == "CONCURRENCY_EXHAUSTED"


def test_one_that_ends_another_takes_its_place_and_only_once() -> None:
    made = quotas(Allowance(concurrent=1))
    first = made.reserve("acme", 1, 0.0, NOON)
    second = made.reserve("acme", 1, 0.0, NOON, older=first)
    # The first has no place any more, so neither its end nor a third one's coming gives one.
    made.settle(first, 1, 0, 0.0, NOON)
    with pytest.raises(ServeError):
        made.reserve("acme", 1, 0.0, NOON, older=first)
    made.reserve("acme", 1, 0.0, NOON, older=second)
    assert refusal(made, 1, 0.0).reason == "CONCURRENCY_EXHAUSTED"


def test_what_was_spent_before_a_restart_counts() -> None:
    made = quotas(Allowance(budget_per_month=100))
    made.spent("acme", 0, 100)
    assert refusal(made, 1, 0.0).reason == "BUDGET_EXHAUSTED"


def test_a_tenant_that_is_bounded_by_a_reload_has_spent_what_it_had() -> None:
    made = quotas(Allowance(budget_per_month=100))
    both = dict.fromkeys(("acme", "late"), Allowance(budget_per_month=100))
    made.allow(both, 0.0, NOON, {"acme": (100, 100), "late": (0, 100)})
    assert refusal(made, 1, 0.0, tenant="late").reason == "BUDGET_EXHAUSTED"
    made.reserve("acme", 1, 0.0, NOON)


@given(
    st.lists(
        st.tuples(st.integers(1, 400), st.integers(0, 400), st.floats(0, 20)),
        min_size=1,
        max_size=60,
    )
)
def test_a_window_never_gives_more_than_a_bucket_and_its_refill(
    calls: list[tuple[int, int, float]],
) -> None:
    made = quotas(Allowance(tokens_per_minute=600))
    now, used, waits = 0.0, 0, []
    for reserved, taken, gap in calls:
        now += gap
        try:
            held = made.reserve("acme", reserved, now, NOON)
        except ServeError as error:
            waits.append(error.retry_after_s or 0.0)
            continue
        really = min(taken, reserved)
        used += really
        made.settle(held, really, 0, now, NOON)
        assert used <= 600 + now * 10 + 1e-6
    assert all(0 < wait <= 60 for wait in waits)
