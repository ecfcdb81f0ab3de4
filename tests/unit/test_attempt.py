"""Pivots: one request, two legs, each with its own permit and account; nothing is left over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from datetime import date
from typing import cast
from unittest.mock import Mock

import msgspec
import pytest
from structlog.testing import capture_logs

from hexkey.admission import Gate, Permit
from hexkey.billing import Billing
from hexkey.charge import Charge
from hexkey.config import CostConfig, QueueConfig, ReferenceConfig
from hexkey.devices import TIME
from hexkey.errors import Code, ServeError
from hexkey.identity.quota import Allowance
from hexkey.metering import Meter, Receipt
from hexkey.metrics import Metrics
from hexkey.pool import Pool
from hexkey.routing import Candidate, Leg, Pair
from hexkey.service import Service
from hexkey.types import (
    Began,
    Caller,
    Delta,
    Event,
    Finish,
    FinishReason,
    Payload,
    Request,
    Task,
    Translate,
    Usage,
)
from hexkey.validation import Limits
from tests.unit.requests import request
from tests.unit.test_metering import value

TRANSLATES = frozenset({Task.TRANSLATE})
CATALOG = (
    Candidate("en-de", TRANSLATES, (Pair("en", "de"),)),
    Candidate("pt-en", TRANSLATES, (Pair("pt", "en"),)),
)
SPARE = Candidate("spare", TRANSLATES, (Pair("en", "de"),))
TEXTS = ("um dois", "três")
WANTED = request(Translate(texts=TEXTS, source="pt", target="de"))
Step = Callable[[], None]


class Pivoting:
    """A pool of two translators that write who translated what; ``before`` runs in each leg."""

    def __init__(self, before: dict[str, Step]) -> None:
        self.catalog: tuple[Candidate, ...] = CATALOG
        self.billing = Billing(CostConfig(expose="none"), ["en-de", "pt-en", "spare"])
        self.under_way: list[str] = []
        self.seen: list[Request] = []
        self.tokens = dict.fromkeys(("en-de", "pt-en", "spare"), (10, 3))
        self._before = before

    async def run(
        self, wanted: Request, leg: Leg, permit: Permit, charge: Charge, _elsewhere: object
    ) -> AsyncGenerator[Event | Began]:
        assert permit.model == leg.model
        assert isinstance(wanted.payload, Translate)
        charge.join(1)
        self.under_way.append(leg.model)
        self.seen.append(wanted)
        try:
            yield Began(0.5)
            self._before.get(leg.model, lambda: None)()
            # The last text comes first, as it may where batches are of one length.
            for index, text in reversed(list(enumerate(wanted.payload.texts))):
                for word in text.split():
                    yield Delta(index, f"{word}.{leg.pair} ", 1)
                yield Finish(index, FinishReason.STOP)
            yield Usage(*self.tokens[leg.model], 1, sum(map(len, wanted.payload.texts)))
        finally:
            self.under_way.remove(leg.model)

    def pid(self, _model: str) -> int | None:
        return 1

    def vitals(self, _model: str) -> tuple[bool, int]:
        return True, 0

    def ensure_able(self, _model: str, _payload: Payload) -> None:
        """They can do anything."""

    def notes(self, _model: str, _payload: Payload) -> tuple[str, ...]:
        return ()


class House:
    """A service on two translators, with room for one request on each."""

    def __init__(self, **before: Step) -> None:
        self.pool = Pivoting({name.replace("_", "-"): step for name, step in before.items()})
        self.gate = Gate(
            dict.fromkeys(("en-de", "pt-en", "spare"), QueueConfig(concurrency=1, max_requests=0))
        )
        self.metrics = Metrics()
        self.service = Service(cast("Pool", self.pool), self.gate, self.metrics, Limits())

    def settled(self, outcome: str) -> bool:
        counted = value(self.metrics, "requests_total")
        lines = self.pool.billing.statement(TIME).settled
        return (
            self.gate.running("en-de") == self.gate.running("pt-en") == 0
            and self.pool.under_way == []
            and value(self.metrics, "requests_in_flight") == 0
            and counted == value(self.metrics, "requests_total", outcome=outcome) == 1
            and {line.outcome for line in lines} - {"late"} == {outcome}
        )


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with capture_logs():
        yield


def fail() -> None:
    raise ServeError(Code.UNAVAILABLE, "gone")


async def read(house: House, wanted: Request = WANTED) -> list[Event]:
    async with house.service.run(wanted) as run:
        return [event async for event in run]


async def test_the_last_legs_events_come_out_with_the_usage_of_both() -> None:
    house = House()
    async with house.service.run(WANTED) as run:
        assert run.model == "en-de"
        assert run.pair == Pair("pt", "de")
        assert house.gate.running("pt-en") == 1
        assert house.gate.running("en-de") == 0
        texts = ["", ""]
        usage = Usage()
        async for event in run:
            assert house.gate.running("pt-en") == 0
            assert house.gate.running("en-de") == 1
            if isinstance(event, Delta):
                texts[event.index] += event.text
            elif isinstance(event, Usage):
                usage = event
    assert texts == ["um.pt-en.en-de dois.pt-en.en-de ", "três.pt-en.en-de "]
    assert usage == Usage(20, 6, 2, sum(map(len, TEXTS)))
    assert house.settled("ok")
    for model in ("pt-en", "en-de"):
        labels = {"task": "translate", "model": model}
        assert value(house.metrics, "tokens_total", direction="input", **labels) == 10
        assert value(house.metrics, "tokens_total", direction="output", **labels) == 3
    # Half a second in each leg, as their engines tell, and what this took besides.
    assert value(house.metrics, "queue_seconds_sum") == pytest.approx(1.0, abs=0.4)


async def test_a_second_leg_that_fails_begins_anew_elsewhere_and_all_tokens_count_once() -> None:
    house = House(en_de=fail)
    house.pool.catalog += (SPARE,)
    house.pool.tokens = {"pt-en": (12, 9), "spare": (4, 2)}
    house.service.access.allow({"acme": Allowance(concurrent=1)})
    receipts: list[Receipt] = []
    house.service.record = receipts.append
    wanted = msgspec.structs.replace(WANTED, caller=Caller(tenant="acme"))
    for _ in range(3):
        assert (await read(house, wanted))[-1] == Usage(16, 11, 2, sum(map(len, TEXTS)))
    assert [(one.input_tokens, one.output_tokens) for one in receipts] == [(16, 11)] * 3
    for model, counted in (("pt-en", 6 * 12), ("spare", 3 * 4), ("en-de", 0)):
        assert value(house.metrics, "tokens_total", model=model, direction="input") == counted


async def test_a_pivot_is_read_and_written_once_by_who_goes_straight() -> None:
    house = House()
    as_of = date(2026, 11, 1)
    house.pool.billing = Billing(
        CostConfig(
            price_per_hour="1",
            references=(
                ReferenceConfig("tokens", as_of, "1", "100", "10"),
                ReferenceConfig("text", as_of, characters_per_million="20"),
            ),
        ),
        ["en-de", "pt-en"],
    )
    house.pool.tokens |= {"pt-en": (10, 3), "en-de": (4, 7)}
    *_, usage = await read(house)
    assert isinstance(usage, Usage)
    # What the two models did, and what one that knows the way would have done of it.
    assert (usage.input_tokens, usage.output_tokens) == (14, 10)
    assert usage.cost is not None
    assert usage.cost.counterfactual == pytest.approx(
        {"tokens": (9 * 1 + 1 * 10 + 7 * 100) / 1e6, "text": sum(map(len, TEXTS)) * 20 / 1e6}
    )


async def test_a_receipt_that_cannot_be_written_keeps_nobodys_quota(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = House()
    house.service.access.allow({"acme": Allowance(concurrent=1)})
    wanted = msgspec.structs.replace(WANTED, caller=Caller(tenant="acme"))
    with monkeypatch.context() as patch:
        patch.setattr(Meter, "settle", Mock(side_effect=ValueError("a bug")))
        with pytest.raises(ValueError, match="a bug"):
            await read(house, wanted)
    assert (await read(house, wanted))[-1] == Usage(20, 6, 2, sum(map(len, TEXTS)))


async def test_the_deadline_goes_with_every_leg() -> None:
    house = House()
    deadline = asyncio.get_running_loop().time() + 60
    late = request(WANTED.payload, deadline=deadline)
    await read(house, late)
    assert [one.deadline for one in house.pool.seen] == [deadline, deadline]


@pytest.mark.parametrize("leg", ["pt_en", "en_de"])
async def test_a_leg_that_fails_ends_the_request(leg: str) -> None:
    house = House(**{leg: fail})
    with pytest.raises(ServeError, match="gone"):
        await read(house)
    assert house.settled("error")


@pytest.mark.parametrize("leg", ["pt_en", "en_de"])
async def test_one_who_leaves_stops_the_leg_under_way(leg: str) -> None:
    reached = asyncio.Event()

    def leave() -> None:
        reached.set()
        raise asyncio.CancelledError

    house = House(**{leg: leave})
    with pytest.raises(asyncio.CancelledError):
        await read(house)
    assert reached.is_set()
    assert house.settled("cancelled")


async def test_a_second_leg_that_is_not_admitted_gives_the_first_ones_permit_back() -> None:
    house = House()
    with await house.gate.admit(WANTED, "en-de"), pytest.raises(ServeError) as caught:
        await read(house)
    assert caught.value.reason == "OVERLOADED"
    assert house.settled("rejected")
    assert value(house.metrics, "rejected_total", reason="overloaded") == 1


async def test_a_run_that_nobody_reads_settles_too() -> None:
    house = House()
    async with house.service.run(WANTED):
        assert house.gate.running("pt-en") == 1
    assert house.settled("cancelled")
    assert house.pool.seen == []
