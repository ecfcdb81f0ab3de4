"""The scheduler, driven by hand: bounds, order, fairness, deadlines. No clock, no task."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hexkey.admission.scheduler import Decision, Scheduler
from hexkey.admission.ticket import Ticket
from hexkey.config import QueueConfig
from hexkey.errors import Code
from hexkey.types import Priority, Usage

URGENT, NORMAL, BATCH = Priority.INTERACTIVE, Priority.NORMAL, Priority.BATCH


def scheduler(concurrency: int = 1, **policy: Any) -> Scheduler:
    weights = {"heavy": 3.0}
    made = Scheduler("m", QueueConfig(**policy), lambda tenant: weights.get(tenant, 1.0))
    made.concurrency = concurrency
    return made


def ticket(tenant: str = "", priority: Priority = NORMAL, **more: Any) -> Ticket:
    return Ticket(tenant, priority, **{"tokens": 10, "input_tokens": 5, **more})


def started(decisions: list[Decision]) -> list[Ticket]:
    return [one.ticket for one in decisions if one.refusal is None]


def reasons(decisions: list[Decision]) -> list[str]:
    return [one.refusal.reason for one in decisions if one.refusal is not None]


def drain(one: Scheduler, running: list[Ticket]) -> list[Ticket]:
    """End what runs, one after the other, until nothing waits; return the order of the starts."""
    order = []
    while running:
        more = started(one.done(running.pop(0), 1.0, None))
        order += more
        running += more
    return order


def taught(one: Scheduler, seconds: float, tokens: int = 10) -> Scheduler:
    """Have a scheduler know how long a request takes."""
    for _ in range(3):
        (first,) = started(one.offer(ticket(tokens=tokens), 0.0))
        first.submitted = 0.0
        one.done(first, seconds, Usage())
    return one


def test_a_place_is_had_at_once_and_the_rest_waits_its_turn() -> None:
    one = scheduler(2)
    tickets = [ticket() for _ in range(5)]
    decisions = [one.offer(each, 0.0) for each in tickets]
    assert [len(each) for each in decisions] == [1, 1, 0, 0, 0]
    assert drain(one, tickets[:2]) == tickets[2:]
    assert (one.running, one.lanes.requests) == (0, 0)


def test_the_urgent_go_first_and_none_is_starved() -> None:
    one = scheduler(1)
    (first,) = started(one.offer(ticket(), 0.0))
    waiting = [ticket(priority=priority) for priority in (BATCH, NORMAL, URGENT) for _ in range(40)]
    for each in waiting:
        one.offer(each, 0.0)
    order = [each.priority for each in drain(one, [first])]
    assert order[0] is URGENT
    assert order[:42].count(URGENT) == 32
    assert order[:42].count(NORMAL) == 8
    assert order[:42].count(BATCH) == 2


def test_an_urgent_one_finds_a_place_that_others_leave_free() -> None:
    one = scheduler(8, headroom=0.25)
    others = [ticket(tenant="t", priority=BATCH) for _ in range(20)]
    assert sum(len(one.offer(each, 0.0)) for each in others) == 6
    assert started(one.offer(urgent := ticket(priority=URGENT), 0.0)) == [urgent]
    # Its place goes to nobody else when it ends.
    assert one.done(urgent, 1.0, None) == []


def test_tenants_share_by_weight_however_much_one_sends() -> None:
    one = scheduler(1)
    (first,) = started(one.offer(ticket("flood"), 0.0))
    for tenant, number in (("flood", 120), ("heavy", 60), ("light", 20)):
        for _ in range(number):
            one.offer(ticket(tenant), 0.0)
    order = [each.tenant for each in drain(one, [first])]
    assert [order[:100].count(name) for name in ("flood", "heavy", "light")] == [20, 60, 20]


def test_a_full_queue_gives_up_the_longest_line_of_the_least_urgent() -> None:
    one = scheduler(1, max_requests=6)
    one.offer(ticket(), 0.0)
    batch = [ticket("flood", BATCH) for _ in range(5)]
    for each in batch:
        assert one.offer(each, 0.0) == []
    assert one.offer(light := ticket("light", BATCH), 0.0) == []
    (refused,) = one.offer(ticket("flood", BATCH), 0.0)
    assert refused.ticket.tenant == "flood"
    (given_up,) = one.offer(ticket("light", BATCH), 0.0)
    assert given_up.ticket is batch[-1]
    for _ in range(6):
        (given_up,) = one.offer(ticket("any", URGENT), 0.0)
        assert given_up.ticket.priority is BATCH
    assert given_up.ticket is light
    assert reasons([given_up]) == ["OVERLOADED"]


def test_tokens_bound_the_queue_too_but_never_below_one_request() -> None:
    one = scheduler(1, max_tokens=100)
    one.offer(ticket(), 0.0)
    assert one.offer(ticket(input_tokens=1000), 0.0) == []
    assert reasons(one.offer(ticket(input_tokens=1), 0.0)) == ["OVERLOADED"]


def test_where_tokens_are_too_many_the_longest_line_is_the_one_of_most_tokens() -> None:
    one = scheduler(1, max_tokens=1000)
    one.offer(ticket(), 0.0)
    for _ in range(80):
        assert one.offer(ticket("small", input_tokens=10), 0.0) == []
    (refused,) = one.offer(ticket("large", input_tokens=900), 0.0)
    assert refused.ticket.tenant == "large"
    assert one.lanes.requests == 80


def test_no_queue_at_all_is_a_policy_too() -> None:
    one = scheduler(1, max_requests=0)
    assert len(started(one.offer(ticket(), 0.0))) == 1
    assert reasons(one.offer(ticket(), 0.0)) == ["OVERLOADED"]


def test_what_cannot_make_it_is_refused_at_once_with_a_hint() -> None:
    one = taught(scheduler(1), 2.0)
    one.offer(ticket(), 0.0)
    (decision,) = one.offer(ticket(deadline=3.0), 0.0)
    assert decision.refusal is not None
    assert decision.refusal.code is Code.UNAVAILABLE
    assert decision.refusal.reason == "WOULD_MISS_DEADLINE"
    assert decision.refusal.retry_after_s == pytest.approx(2.0, rel=0.05)
    assert one.offer(ticket(deadline=4.5), 0.0) == []
    # Behind that one it would take six seconds, unless it is of those who go first.
    assert reasons(one.offer(ticket(deadline=5.5), 0.0)) == ["WOULD_MISS_DEADLINE"]
    assert one.offer(ticket(priority=URGENT, deadline=5.5), 0.0) == []


def test_a_flood_of_one_tenant_is_no_reason_to_refuse_another() -> None:
    one = taught(scheduler(1), 1.0)
    for _ in range(50):
        one.offer(ticket("flood"), 0.0)
    assert one.offer(ticket("light", deadline=5.0), 0.0) == []
    assert reasons(one.offer(ticket("flood", deadline=5.0), 0.0)) == ["WOULD_MISS_DEADLINE"]


def test_what_has_expired_never_starts() -> None:
    one = scheduler(1)
    (first,) = started(one.offer(ticket(), 0.0))
    late = ticket(deadline=1.0)
    one.offer(late, 0.0)
    one.offer(next_one := ticket(), 0.0)
    expired, after = one.done(first, 1.5, None)
    assert (expired.ticket, after.ticket) == (late, next_one)
    assert reasons([expired]) == ["EXPIRED_IN_QUEUE"]
    assert expired.refusal is not None
    assert expired.refusal.code is Code.DEADLINE_EXCEEDED


def test_a_deadline_of_this_moment_has_passed() -> None:
    one = scheduler(1)
    (decision,) = one.offer(ticket(deadline=5.0), 5.0)
    assert decision.refusal is not None
    assert decision.refusal.code is Code.DEADLINE_EXCEEDED
    assert started(one.offer(ticket(deadline=5.1), 5.0))


def test_an_estimate_that_is_too_high_does_not_refuse_for_ever() -> None:
    one = taught(scheduler(1), 60.0)
    one.offer(ticket(), 0.0)
    tries = 0
    while decisions := one.offer(ticket(deadline=20.0), 0.0):
        assert reasons(decisions) == ["WOULD_MISS_DEADLINE"]
        tries += 1
    assert 50 < tries < 250


def test_a_place_that_nobody_else_wants_is_worth_a_try() -> None:
    one = taught(scheduler(2), 60.0)
    for _ in range(2):
        assert started(one.offer(ticket(deadline=20.0), 0.0))
    assert reasons(one.offer(ticket(deadline=20.0), 0.0)) == ["WOULD_MISS_DEADLINE"]


def test_under_load_places_go_to_those_that_can_make_it() -> None:
    one = taught(scheduler(1), 2.0)
    (first,) = started(one.offer(ticket(), 0.0))
    one.offer(tight := ticket(deadline=4.5), 0.0)
    one.offer(loose := ticket(deadline=9.0), 0.0)
    late, starts = one.done(first, 3.0, None)
    assert (late.ticket, starts.ticket) == (tight, loose)
    assert reasons([late]) == ["WOULD_MISS_DEADLINE"]


def test_a_wide_request_is_not_overtaken_by_narrow_ones() -> None:
    one = scheduler(4, headroom=0.0)
    narrow = [ticket() for _ in range(4)]
    for each in narrow:
        one.offer(each, 0.0)
    one.offer(wide := ticket(width=100), 0.0)
    one.offer(after := ticket(), 0.0)
    for each in narrow[:3]:
        assert one.done(each, 1.0, None) == []
    assert started(one.done(narrow[3], 1.0, None)) == [wide]
    assert one.running == 4
    assert started(one.done(wide, 2.0, None)) == [after]


def test_a_few_urgent_ones_overtake_a_wide_one_and_the_rest_is_told_of_it() -> None:
    one = taught(scheduler(4, headroom=0.0), 2.0)
    runners = [ticket() for _ in range(3)]
    for each in runners:
        one.offer(each, 0.0)
    one.offer(wide := ticket(width=4), 0.0)
    assert one.wait_s(ticket()) > 0, "a place is free, and it is for the wide one"
    passed = 0
    while one.wait_s(ticket(priority=URGENT)) == 0:
        passed += 1
        each = ticket(priority=URGENT)
        assert started(one.offer(each, 0.0)) == [each]
        assert one.done(each, 1.0, None) == []
    # Some whose turn it was, and as many more as there are places.
    assert 4 < passed < 12
    late = ticket(priority=URGENT)
    assert one.offer(late, 0.0) == []
    decided = [one.done(each, 1.0, None) for each in runners]
    assert started([decision for each in decided for decision in each]) == [wide]
    assert started(one.done(wide, 1.0, None)) == [late]


class Scheduling(RuleBasedStateMachine):
    """Any calls in any order, against the promises of the docstrings."""

    POLICY = QueueConfig(headroom=0.25, max_requests=5, max_tokens=60)

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.one = Scheduler("m", self.POLICY, lambda _tenant: 1.0)
        self.one.concurrency = 3
        self.waits: list[Ticket] = []
        self.runs: list[Ticket] = []

    def follow(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            # Each is decided once: it was waiting, and is not any more.
            self.waits.remove(decision.ticket)
            if decision.refusal is None:
                assert decision.ticket.deadline is None or self.now < decision.ticket.deadline
                decision.ticket.submitted = self.now
                self.runs.append(decision.ticket)
            else:
                assert decision.refusal.code in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}

    @rule(
        tenant=st.sampled_from("abc"),
        priority=st.sampled_from(Priority),
        width=st.integers(1, 4),
        tokens=st.integers(1, 50),
        deadline=st.none() | st.floats(-1, 20),
    )
    def offer(
        self, tenant: str, priority: Priority, width: int, tokens: int, deadline: float | None
    ) -> None:
        due = None if deadline is None else self.now + deadline
        new = ticket(
            tenant, priority, width=width, tokens=tokens, input_tokens=tokens, deadline=due
        )
        self.waits.append(new)
        self.follow(self.one.offer(new, self.now))

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), took=st.floats(0, 5), whole=st.booleans())
    def done(self, data: st.DataObject, took: float, whole: bool) -> None:  # noqa: FBT001
        self.now += took
        which = data.draw(st.integers(0, len(self.runs) - 1))
        self.follow(self.one.done(self.runs.pop(which), self.now, Usage() if whole else None))

    @precondition(lambda self: self.waits)
    @rule(data=st.data(), expired=st.booleans())
    def leave(self, data: st.DataObject, expired: bool) -> None:  # noqa: FBT001
        which = self.waits[data.draw(st.integers(0, len(self.waits) - 1))]
        if expired and which.deadline is not None:
            self.now = max(self.now, which.deadline)
            self.follow(self.one.expire(which, self.now))
        else:
            self.waits.remove(which)
            self.follow(self.one.withdraw(which, self.now))

    @invariant()
    def counts_add_up(self) -> None:
        lanes = self.one.lanes
        assert lanes.requests == len(self.waits) <= 5
        assert lanes.input_tokens == sum(one.input_tokens for one in self.waits)
        assert lanes.input_tokens <= 60 or lanes.requests == 1
        assert lanes.work_s == pytest.approx(sum(one.work_s * one.width for one in self.waits))
        assert self.one.running == sum(one.width for one in self.runs) <= 3

    @invariant()
    def no_place_is_idle_while_one_waits_for_it(self) -> None:
        if all(one.width == 1 for one in self.waits):
            assert self.one.running >= 2 or not self.waits
            urgent = any(one.priority is URGENT for one in self.waits)
            assert self.one.running == 3 or not urgent


TestScheduling = Scheduling.TestCase
