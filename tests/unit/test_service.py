"""The way of a request, with a pool that says what it is told to: settled once, permits back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import cast
from unittest.mock import Mock

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from hexkey.admission import Gate, Permit
from hexkey.billing import Billing
from hexkey.charge import Charge
from hexkey.config import CostConfig, QueueConfig
from hexkey.errors import Code, ServeError, gone
from hexkey.metrics import Metrics
from hexkey.pool import Pool
from hexkey.routing import Candidate, Leg
from hexkey.service import Service
from hexkey.types import Delta, Event, Payload, Request, Task, Usage
from hexkey.validation import Limits
from tests.unit.requests import CHAT, request, translate
from tests.unit.test_metering import value


class ScriptedPool:
    """One model, ``m``, that answers with ``script``; an exception in it is raised."""

    def __init__(self, script: list[Event | BaseException]) -> None:
        self.catalog = (Candidate("m", frozenset({Task.CHAT})),)
        self.billing = Billing(CostConfig(expose="none"), ["m"])
        self.closed = 0
        self._script = script

    async def run(
        self, _request: Request, _leg: Leg, _permit: Permit, charge: Charge, _elsewhere: object
    ) -> AsyncGenerator[Event]:
        charge.join(1)
        try:
            for one in self._script:
                if isinstance(one, BaseException):
                    raise one
                yield one
        finally:
            self.closed += 1

    def pid(self, _model: str) -> int | None:
        return 1

    def vitals(self, _model: str) -> tuple[bool, int]:
        return True, 0

    def ensure_able(self, _model: str, _payload: Payload) -> None:
        """It can do anything."""

    def notes(self, _model: str, _payload: Payload) -> tuple[str, ...]:
        return ("a note",)


class House:
    """A service on a scripted pool, with room for one request."""

    def __init__(self, *script: Event | BaseException) -> None:
        self.pool = ScriptedPool(list(script))
        self.gate = Gate({"m": QueueConfig(concurrency=1, max_requests=0)})
        self.metrics = Metrics()
        self.service = Service(cast("Pool", self.pool), self.gate, self.metrics, Limits())

    def settled(self, outcome: str) -> bool:
        """Whether all was given back and one request was counted, with this outcome."""
        counted = value(self.metrics, "requests_total")
        return (
            self.gate.running("m") == 0
            and value(self.metrics, "requests_in_flight") == 0
            and counted == value(self.metrics, "requests_total", outcome=outcome) == 1
        )


async def read(house: House, count: int) -> None:
    """Take so many events and leave as a caller does who is cancelled."""
    async with house.service.run(request()) as run:
        for _ in range(count):
            await anext(run)
        raise asyncio.CancelledError


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[EventDict]]:
    with capture_logs() as captured:
        yield captured


async def test_a_request_runs_to_its_usage(lines: list[EventDict]) -> None:
    house = House(Delta(0, "a", 1), Usage(1, 1))
    async with house.service.run(request()) as run:
        assert (run.model, run.notes) == ("m", ("a note",))
        assert house.gate.running("m") == 1
        assert value(house.metrics, "requests_in_flight", model="m") == 1
        assert [event async for event in run] == [Delta(0, "a", 1), Usage(1, 1)]
    assert house.settled("ok")
    assert house.pool.closed == 1
    assert [line["event"] for line in lines] == ["request"]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ServeError(Code.UNAVAILABLE, "gone"), "error"),
        (ServeError(Code.DEADLINE_EXCEEDED, "late"), "deadline"),
        (RuntimeError("bug"), "error"),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
async def test_an_error_on_the_way_settles_once(error: BaseException, outcome: str) -> None:
    house = House(Delta(0, "a", 1), error)
    with pytest.raises(type(error)):
        await read(house, 9)
    assert house.settled(outcome)


async def test_one_who_leaves_closes_the_stream() -> None:
    house = House(*(Delta(0, "a", 1) for _ in range(9)))
    with pytest.raises(asyncio.CancelledError):
        await read(house, 1)
    assert house.settled("cancelled")
    assert house.pool.closed == 1


async def test_a_pool_that_takes_nothing_has_the_permit_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = House()
    monkeypatch.setattr(house.pool, "run", Mock(side_effect=gone("m")))
    with pytest.raises(ServeError, match="not served any more"):
        await read(house, 1)
    assert house.gate.running("m") == 0
    assert not house.pool.billing.devices["machine"].ledger._accounts._open


async def test_a_run_that_nobody_reads_settles_too() -> None:
    house = House(Usage())
    async with house.service.run(request()):
        pass
    assert house.gate.running("m") == 0


@pytest.mark.parametrize(
    ("wanted", "code", "reason", "outcome"),
    [
        (request(translate(target="")), Code.INVALID_ARGUMENT, "invalid_argument", "invalid"),
        (request(translate()), Code.NOT_FOUND, "task_not_found", "invalid"),
        (request(CHAT, "unknown"), Code.NOT_FOUND, "model_not_found", "invalid"),
        (request(CHAT, deadline=0.5), Code.DEADLINE_EXCEEDED, "deadline_exceeded", "deadline"),
    ],
)
async def test_what_is_refused_settles_and_holds_nothing(
    wanted: Request, code: Code, reason: str, outcome: str
) -> None:
    house = House()
    with pytest.raises(ServeError) as caught:
        async with house.service.run(wanted):
            pytest.fail("it was refused")
    assert caught.value.code is code
    assert house.settled(outcome)
    assert value(house.metrics, "rejected_total", reason=reason) == 1


async def test_beyond_the_bound_one_is_refused_and_the_other_is_not_disturbed() -> None:
    house = House(Usage())
    async with house.service.run(request()) as run:
        with pytest.raises(ServeError) as caught:
            async with house.service.run(request()):
                pytest.fail("it was refused")
        assert caught.value.reason == "OVERLOADED"
        assert house.gate.running("m") == 1
        assert [event async for event in run] == [Usage()]
    async with house.service.run(request()):
        assert house.gate.running("m") == 1


async def test_explain_runs_nothing() -> None:
    house = House()
    assert (await house.service.explain(request())).model == "m"
    assert house.gate.running("m") == 0
    assert value(house.metrics, "requests_total") == 0
