"""The ledger, one situation at a time: who pays for what, and what happens when things go wrong."""

from __future__ import annotations

from hexkey.cost.accounts import LATE, MAX_FINISHED, MAX_LINES, OTHER, Account
from hexkey.cost.ledger import Ledger
from hexkey.cost.price import HOUR_NS, Bill, seconds
from hexkey.cost.statement import Group, Settled, Statement

GROUP = Group("chat", "acme")


def make(memory: int = 100, base: int = 0) -> Ledger:
    """Two models on a device that costs 2 pico-units a nanosecond."""
    meters = {"cost": Bill(2 * HOUR_NS, 0, base), "time": seconds(0)}
    return Ledger(meters, ["a", "b"], memory=memory, start_ns=0)


def page(ledger: Ledger, at_ns: int = 0, unit: str = "cost") -> Statement:
    statement = ledger.statement(unit, at_ns)
    assert statement.imbalance == 0
    return statement


def request(ledger: Ledger, model: str, key: int) -> Account:
    account = ledger.open_request(model, GROUP)
    ledger.join(account, key)
    return account


def test_idle_time_is_shared_by_reserved_memory() -> None:
    ledger = make()
    ledger.begin_load("a", 0)
    ledger.end_load("a", 10, reserved=30)
    ledger.begin_load("b", 10)
    ledger.end_load("b", 15, reserved=50)
    told = page(ledger, 115)
    assert (told.models["a"].load, told.models["b"].load) == (20, 10)
    assert (told.models["a"].idle, told.models["b"].idle, told.unallocated) == (60, 100, 40)


def test_models_that_reserve_more_than_there_is_share_it_all() -> None:
    ledger = make(memory=100)
    ledger.end_load("a", 0, reserved=100)
    ledger.end_load("b", 0, reserved=300)
    told = page(ledger, 100)
    assert (told.models["a"].idle, told.models["b"].idle, told.unallocated) == (50, 150, 0)


def test_a_step_is_in_flight_until_its_report_tells_whom_it_was_for() -> None:
    ledger = make()
    one, two = request(ledger, "a", 1), request(ledger, "a", 2)
    ledger.open_step("a", 100)
    assert page(ledger, 150).in_flight == 100
    ledger.close_step("a", 200, 100, [(1, 3, 0), (2, 1, 0)], more=False)
    told = page(ledger, 300)
    assert (told.in_flight, told.unallocated, told.models["a"].active) == (0, 400, 200)
    assert ledger.settle(one, "ok") == {"cost": 150, "time": 75}
    assert ledger.settle(two, "cancelled") == {"cost": 50, "time": 25}
    assert page(ledger).settled == {
        Settled("a", GROUP, "ok"): 150,
        Settled("a", GROUP, "cancelled"): 50,
        Settled("a", GROUP, LATE): 0,
    }


def test_a_request_may_be_there_before_its_slot() -> None:
    ledger = make()
    early = ledger.open_request("a#2", GROUP)
    ledger.add("a#2", "a")
    ledger.join(early, 1)
    ledger.open_step("a#2", 0)
    ledger.close_step("a#2", 100, 100, [(1, 1, 0)], more=False)
    assert page(ledger).models["a"].active == 200
    ledger.settle(early, "ok")
    assert page(ledger).settled[Settled("a", GROUP, "ok")] == 200


def test_overlapping_steps_share_what_they_overlap() -> None:
    ledger = make()
    one, two = request(ledger, "a", 1), request(ledger, "b", 1)
    ledger.open_step("a", 0)
    ledger.open_step("b", 50)
    ledger.close_step("a", 100, 100, [(1, 1, 0)], more=False)
    ledger.close_step("b", 150, 100, [(1, 1, 0)], more=False)
    assert ledger.settle(one, "ok")["time"] == 75
    assert ledger.settle(two, "ok")["time"] == 75
    assert page(ledger, unit="time").bill == 150


def test_a_load_shares_with_the_steps_beside_it() -> None:
    ledger = make()
    ledger.open_step("a", 0)
    ledger.begin_load("b", 0)
    told = page(ledger, 100)
    assert (told.in_flight, told.models["b"].load) == (100, 100)


def test_a_late_report_is_clipped_and_loses_nothing() -> None:
    ledger = make()
    one, two = request(ledger, "a", 1), request(ledger, "b", 1)
    ledger.open_step("a", 0)
    ledger.open_step("b", 0)
    ledger.close_step("a", 100, 100, [(1, 1, 0)], more=True)
    ledger.close_step("b", 90, 90, [(1, 1, 0)], more=True)
    ledger.close_step("a", 200, 100, [(1, 1, 0)], more=False)
    ledger.close_step("b", 200, 110, [(1, 1, 0)], more=False)
    assert ledger.clipped_ns == 10
    assert ledger.settle(one, "ok")["time"] == ledger.settle(two, "ok")["time"] == 100
    assert page(ledger).bill == 400


def test_reports_swapped_within_a_bound_move_no_more_than_that_bound() -> None:
    ends = [
        (model, at + late) for at in range(100, 1000, 100) for model, late in (("a", 0), ("b", 7))
    ]
    active = []
    for reports in (ends, [report for pair in batched(ends) for report in reversed(pair)]):
        ledger = make()
        for model in ("a", "b"):
            request(ledger, model, 1)
            ledger.open_step(model, 0)
        for model, done in reports:
            ledger.close_step(model, done, 100, [(1, 1, 0)], more=done < 900)
        lines = page(ledger, unit="time").models
        active.append((lines["a"].active, lines["b"].active))
    # In order, a had [0, 900] in halves and b the last 7 as well; swapped, they shared those too.
    assert active == [(450, 457), (453, 454)]


def batched(reports: list[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    return [reports[i : i + 2] for i in range(0, len(reports), 2)]


def test_work_sent_to_a_busy_model_does_not_clip_its_report() -> None:
    ledger = make()
    ledger.open_step("a", 0)
    ledger.open_step("a", 105)
    ledger.close_step("a", 100, 100, [], more=True)
    assert ledger.clipped_ns == 0


def test_an_engine_killed_in_a_step_leaves_overhead() -> None:
    ledger = make()
    account = request(ledger, "a", 1)
    ledger.end_load("a", 0, reserved=100)
    ledger.open_step("a", 0)
    ledger.close_step("a", 100, 100, [(1, 1, 0)], more=True)
    ledger.lost("a", 150)
    told = page(ledger, 250)
    assert told.models["a"].overhead == 100
    assert told.unallocated == 200  # it holds no memory any more
    # The same request goes to the next host, where it has another's id.
    other = request(ledger, "a", 2)
    ledger.begin_load("a", 250)
    ledger.end_load("a", 300, reserved=100)
    ledger.join(account, 2)
    ledger.join(other, 1)
    ledger.open_step("a", 300)
    ledger.close_step("a", 400, 100, [(1, 1, 0), (2, 3, 0)], more=False)
    assert ledger.settle(account, "ok")["cost"] == 200 + 150
    assert ledger.settle(other, "ok")["cost"] == 50
    assert page(ledger, 500).models["a"].load == 100


def test_a_settled_requests_old_id_is_not_anothers() -> None:
    ledger = make()
    old = request(ledger, "a", 1)
    ledger.lost("a", 0)
    new = request(ledger, "a", 1)
    ledger.settle(old, "error")
    ledger.open_step("a", 0)
    ledger.close_step("a", 100, 100, [(1, 1, 0)], more=False)
    assert ledger.settle(new, "ok")["cost"] == 200


def test_a_lost_hosts_ids_mean_nothing_to_the_next() -> None:
    ledger = make()
    account = request(ledger, "a", 1)
    ledger.lost("a", 0)
    ledger.open_step("a", 0)
    ledger.close_step("a", 100, 100, [(1, 1, 0)], more=False)
    assert ledger.settle(account, "error")["cost"] == 0
    assert page(ledger).models["a"].overhead == 200


def test_what_comes_after_the_end_is_late_and_in_no_answer() -> None:
    ledger = make()
    account = request(ledger, "a", 1)
    ledger.open_step("a", 0)
    ledger.close_step("a", 100, 100, [(1, 1, 0)], more=True)
    told = ledger.finish(account)
    ledger.join(account, 9)  # a finished request goes nowhere
    ledger.close_step("a", 150, 50, [(1, 1, 0), (9, 1, 0)], more=False)
    assert ledger.settle(account, "superseded") == told == {"cost": 200, "time": 100}
    assert ledger.settle(account, "ok") == told
    assert page(ledger).settled == {
        Settled("a", GROUP, "superseded"): 200,
        Settled("a", GROUP, LATE): 50,
    }


def test_a_step_for_nobody_is_overhead() -> None:
    ledger = make()
    ledger.open_step("a", 0)
    ledger.close_step("a", 100, 100, [(77, 1, 0)], more=True)
    ledger.close_step("a", 150, 0, [], more=False)
    told = page(ledger)
    assert (told.models["a"].overhead, told.in_flight) == (300, 0)


def test_a_report_without_an_opening_opens_the_next_step() -> None:
    ledger = make()
    account = request(ledger, "a", 1)
    ledger.close_step("a", 100, 100, [(1, 1, 0)], more=True)
    ledger.close_step("a", 200, 100, [(1, 1, 0)], more=False)
    assert ledger.settle(account, "ok")["time"] == 100
    assert page(ledger, unit="time").unallocated == 100


def test_a_price_change_in_the_middle_of_a_step_is_exact() -> None:
    bill = Bill(2 * HOUR_NS, 0)
    ledger = Ledger({"cost": bill}, ["a"], memory=1, start_ns=0)
    account = request(ledger, "a", 1)
    ledger.open_step("a", 0)
    page(ledger, 50)
    bill.reprice(5 * HOUR_NS, ledger.advance(40))  # said for 40, but 50 is booked
    ledger.close_step("a", 100, 100, [(1, 1, 0)], more=False)
    assert ledger.settle(account, "ok")["cost"] == 2 * 50 + 5 * 50
    assert page(ledger).bill == 350


def test_a_restart_carries_the_bill_on() -> None:
    ledger = make(base=12_345)
    told = page(ledger, 10)
    assert (told.bill, told.adjustment, told.unallocated) == (12_365, 12_345, 20)


def test_an_adjustment_is_a_place_of_its_own() -> None:
    ledger = make()
    ledger.adjust("cost", -70)
    told = page(ledger, 10)
    assert (told.bill, told.adjustment, told.unallocated) == (-50, -70, 20)
    assert page(ledger, unit="time").adjustment == 0


def test_a_meter_that_falls_is_waited_for() -> None:
    class Falling:
        readings = (5, 9, 3, 11)

        def total(self, at_ns: int) -> int:
            return self.readings[at_ns]

    ledger = Ledger({"cost": Falling()}, ["a"], memory=1, start_ns=0)
    assert [page(ledger, at).bill for at in (1, 2, 3)] == [9, 9, 11]


def test_memory_is_bounded() -> None:
    ledger = make()
    ledger.open_step("a", 0)
    for number in range(MAX_LINES):
        account = ledger.open_request("a", Group("chat", f"tenant {number}"))
        ledger.join(account, number)
        ledger.close_step("a", number + 1, 1, [(number, 1, 0)], more=True)
        assert ledger.settle(account, "ok")["time"] == 1
    told = page(ledger, unit="time")
    assert len(told.settled) <= MAX_LINES + 2
    assert told.settled[Settled("a", Group("chat", OTHER), "ok")] > 0
    assert sum(told.settled.values()) == told.bill == MAX_LINES
    assert len(ledger._requests["a"].rows) == MAX_FINISHED
    ledger.close_step("a", MAX_LINES, 1, [], more=False)
    assert not ledger._requests["a"].rows
