"""Policies: shares come out as weighted, the cheapest wins once measured, exploring is bounded."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hexkey.routing import Candidate, Live, Plan, Policy, PolicyName, Reason, Rules, route
from hexkey.routing.live import ENOUGH, estimate
from hexkey.routing.policies import EXPLORE
from hexkey.types import UNCONSTRAINED, Autocomplete, Constraints, Request, Sampling, Task
from tests.unit.requests import CHAT, translate

NAMES = ("a", "b", "c")
CATALOG = [Candidate(name, frozenset(Task)) for name in NAMES]
MEASURED = {
    "a": Live(measured=9, units=10, pico_per_unit=5, s_per_unit=0.1),
    "b": Live(measured=9, units=10, pico_per_unit=3, s_per_unit=0.3),
    "c": Live(measured=9, units=10, pico_per_unit=4, s_per_unit=0.2),
}


def planned(
    number: int,
    policy: Policy,
    world: dict[str, Live] | None = None,
    bounds: Constraints = UNCONSTRAINED,
) -> Plan:
    wanted = Request(id=f"request-{number}", payload=CHAT, protocol="http", constraints=bounds)
    world = world or {}
    return route(
        wanted, CATALOG, lambda model: world.get(model, Live()), Rules({Task.CHAT: policy})
    )


def chosen(policy: Policy, world: dict[str, Live] | None = None, count: int = 4000) -> Counter[str]:
    return Counter(planned(number, policy, world).model for number in range(count))


def test_shares_come_out_as_weighted_and_the_same_request_goes_the_same_way() -> None:
    policy = Policy(PolicyName.WEIGHTED, {"a": 90, "b": 10})
    shares = chosen(policy)
    assert set(shares) == {"a", "b"}
    assert 0.08 < shares["b"] / 4000 < 0.12
    assert [planned(7, policy).model for _ in range(5)] == [planned(7, policy).model] * 5
    assert planned(7, policy).reason is Reason.WEIGHTED
    # One without a weight is there only where the others fail.
    assert all(planned(number, policy).routes[-1].model == "c" for number in range(50))


@given(st.integers(0, 10**6), st.integers(1, 50), st.integers(1, 50))
def test_more_weight_takes_requests_from_others_only(number: int, less: int, more: int) -> None:
    before = planned(number, Policy(PolicyName.WEIGHTED, {"a": 50, "b": less})).model
    after = planned(number, Policy(PolicyName.WEIGHTED, {"a": 50, "b": less + more})).model
    assert (before, after) != ("b", "a")


def test_the_cheapest_by_measure_wins_and_another_is_looked_at_now_and_then() -> None:
    shares = chosen(Policy(PolicyName.CHEAPEST), MEASURED)
    assert set(shares) == {"b", "c"}
    assert 0.5 / EXPLORE < shares["c"] / 4000 < 2 / EXPLORE
    fastest = chosen(Policy(PolicyName.FASTEST), MEASURED)
    assert fastest.most_common(1)[0][0] == "a"
    assert set(fastest) == {"a", "c"}
    explored = next(
        plan
        for number in range(1000)
        if (plan := planned(number, Policy(PolicyName.CHEAPEST), MEASURED)).model == "c"
    )
    assert explored.reason is Reason.EXPLORED


def test_a_machine_without_a_price_is_cheapest_where_it_takes_the_least_time() -> None:
    world = {
        name: Live(measured=9, units=1, device_s_per_unit=seconds)
        for name, seconds in (("a", 0.3), ("b", 0.2), ("c", 0.1))
    }
    assert chosen(Policy(PolicyName.CHEAPEST), world).most_common(1)[0][0] == "c"


def test_what_is_not_measured_goes_first_until_so_many_requests_are_on_their_way() -> None:
    policy = Policy(PolicyName.CHEAPEST)
    for under_way in range(ENOUGH):
        world = {**MEASURED, "a": Live(in_flight=under_way)}
        plan = planned(1, policy, world)
        assert (plan.model, plan.reason) == ("a", Reason.EXPLORED)
    assert planned(1, policy, {**MEASURED, "a": Live(in_flight=ENOUGH)}).model == "b"
    # One that fails is not explored: others that serve go first.
    assert planned(1, policy, {**MEASURED, "a": Live(ejected=True)}).model == "b"


def test_a_pinned_task_has_one_model_unless_the_caller_names_another() -> None:
    policy = Policy(PolicyName.PINNED, model="b")
    plan = planned(1, policy)
    assert [one.model for one in plan.routes] == ["b"]
    assert plan.reason is Reason.PINNED
    named = Request(id="r", payload=CHAT, protocol="http", model="a")
    rules = Rules({Task.CHAT: policy})
    assert route(named, CATALOG, rules=rules).model == "a"


def test_bounds_drop_what_is_expected_to_break_them_and_nothing_else() -> None:
    policy = Policy()
    assert [one.model for one in planned(1, policy, MEASURED).routes] == ["a", "b", "c"]
    cheap = planned(1, policy, MEASURED, Constraints(max_cost_pico=40))
    assert [one.model for one in cheap.routes] == ["b", "c"]
    quick = planned(1, policy, MEASURED, Constraints(max_latency_s=2.5))
    assert [one.model for one in quick.routes] == ["a", "c"]
    # What nobody measured may meet them.
    unknown = planned(1, policy, {**MEASURED, "a": Live()}, Constraints(max_cost_pico=1))
    assert [one.model for one in unknown.routes] == ["a"]


def test_long_texts_are_expected_to_take_longer_and_limits_on_tokens_are_no_forecast() -> None:
    live = Live(measured=9, units=20, pico_per_unit=2, fixed_s=0.1, s_per_unit=0.01, spread=2)
    short, long = (estimate(live, translate("x" * size)) for size in (10, 1000))
    assert short is not None
    assert long is not None
    assert (short.pico, long.pico) == (20, 2000)
    assert (round(short.latency_s, 6), round(long.latency_s, 6)) == (0.4, 20.2)
    for limit, units in ((5, 5), (4000, 20)):
        found = estimate(live, Autocomplete(prefix="x", sampling=Sampling(max_tokens=limit)))
        assert found is not None
        assert found.pico == 2 * units
    assert estimate(Live(measured=ENOUGH - 1), CHAT) is None
