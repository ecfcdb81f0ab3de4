"""A session in the service: whose answer it is, and who pays for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from hexkey.admission import Gate, Permit
from hexkey.billing import Billing
from hexkey.charge import Charge
from hexkey.config import AutocompleteConfig, CostConfig, QueueConfig
from hexkey.devices import TIME
from hexkey.errors import Code, ServeError
from hexkey.metrics import Metrics
from hexkey.pool import Pool
from hexkey.routing import Candidate, Leg
from hexkey.service import Service
from hexkey.types import (
    Autocomplete,
    Began,
    Caller,
    Delta,
    Event,
    Finish,
    FinishReason,
    Payload,
    Request,
    Task,
    Usage,
)
from hexkey.validation import Limits
from tests.unit.test_metering import value


class Writer:
    """One model that writes a letter whenever ``go`` lets it."""

    def __init__(self) -> None:
        self.catalog: tuple[Candidate, ...] = (Candidate("m", frozenset({Task.AUTOCOMPLETE})),)
        self.billing = Billing(CostConfig(), ["m"])
        self.go = asyncio.Semaphore(0)
        self.begun: list[str] = []
        self.ended = 0
        self.text = "abcdef"
        self.fails = False

    async def run(
        self, wanted: Request, _leg: Leg, permit: Permit, charge: Charge, _else: Callable[[], bool]
    ) -> AsyncGenerator[Event | Began]:
        assert isinstance(wanted.payload, Autocomplete)
        self.begun.append(wanted.payload.prefix)
        charge.join(len(self.begun))
        permit.submit()
        yield Began(0.0)
        try:
            for letter in self.text:
                await self.go.acquire()
                if self.fails:
                    raise ServeError(Code.UNAVAILABLE, "gone")
                yield Delta(0, letter, 1)
            yield Finish(0, FinishReason.STOP)
            usage = Usage(3, len(self.text))
            charge.complete()
            permit.settle(usage)
            yield usage
        finally:
            self.ended += 1

    def pid(self, _model: str) -> int | None:
        return 1

    def vitals(self, _model: str) -> tuple[bool, int]:
        return True, 0

    def ensure_able(self, _model: str, _payload: Payload) -> None:
        """It can do anything."""

    def notes(self, _model: str, _payload: Payload) -> tuple[str, ...]:
        return ()


class House:
    """A service on that model."""

    def __init__(self) -> None:
        self.pool = Writer()
        self.gate = Gate({"m": QueueConfig(concurrency=4)})
        self.metrics = Metrics()
        self.service = Service(cast("Pool", self.pool), self.gate, self.metrics, Limits())

    def request(self, prefix: str, **more: Any) -> Request:
        payload = Autocomplete(prefix=prefix, session="s")
        return Request(id="r", payload=payload, protocol="http", **more)

    async def answer(self, prefix: str, **more: Any) -> str:
        async with self.service.run(self.request(prefix, **more)) as run:
            parts = [event.text async for event in run if type(event) is Delta]
        return "".join(parts)

    def ask(self, prefix: str, **more: Any) -> asyncio.Task[str]:
        return asyncio.create_task(self.answer(prefix, **more))

    async def write(self, letters: int) -> None:
        for _ in range(letters):
            self.pool.go.release()
        for _ in range(30):
            await asyncio.sleep(0)

    def add_spare(self, queue: QueueConfig) -> None:
        """Add a second model that does the same; ``queue`` is the first one's from now on."""
        self.pool.catalog += (Candidate("spare", frozenset({Task.AUTOCOMPLETE})),)
        self.pool.billing = Billing(CostConfig(), ["m", "spare"])
        self.gate.configure({"m": queue, "spare": QueueConfig()}, {})

    def spent(self) -> set[str]:
        lines = self.pool.billing.statement(TIME).settled
        return {line.outcome for line in lines if line.outcome != "late"}

    def balanced(self) -> bool:
        in_flight = value(self.metrics, "requests_in_flight")
        return self.gate.running("m") == 0 == in_flight and len(self.service.sessions.latest) == 0


@pytest.fixture
async def house() -> House:
    return House()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with capture_logs():
        yield


async def superseded(task: asyncio.Task[str]) -> bool:
    (error,) = await asyncio.gather(task, return_exceptions=True)
    return isinstance(error, ServeError) and error.code is Code.SUPERSEDED


async def test_an_answer_that_was_taken_over_is_paid_for_once_by_who_got_it(house: House) -> None:
    tasks = [house.ask("x")]
    for typed in ("xa", "xabc", "xabcd"):
        await house.write(1)
        tasks.append(house.ask(typed))
    await house.write(6)
    assert await tasks[-1] == "ef"
    assert all([await superseded(task) for task in tasks[:-1]])
    assert house.pool.begun == ["x"]
    assert house.pool.ended == 1
    assert house.spent() == {"ok"}
    assert house.balanced()
    assert value(house.metrics, "tokens_total", direction="output") == len("abcdef")
    assert value(house.metrics, "requests_total", outcome="superseded") == 3
    # What is complete is remembered, for each who typed on.
    assert await house.answer("xabcde") == "f"
    assert value(house.metrics, "suggestions_total", result="hit") == 1


async def test_what_turns_out_to_be_another_answer_is_superseded_work(house: House) -> None:
    older = house.ask("x")
    await house.write(1)
    newer = house.ask("xaz")
    await house.write(0)
    assert house.pool.begun == ["x"]
    await house.write(2)
    assert house.pool.begun == ["x", "xaz"]
    await house.write(6)
    assert await newer == "abcdef"
    assert await superseded(older)
    assert house.spent() == {"superseded", "ok"}
    assert house.pool.ended == 2
    assert house.balanced()


async def test_a_bet_on_an_answer_of_which_nothing_is_written_is_not_taken(house: House) -> None:
    older = house.ask("x")
    await house.write(0)
    newer = house.ask("xa")
    await house.write(0)
    assert house.pool.begun == ["x", "xa"]
    await house.write(6)
    assert await newer == "abcdef"
    assert await superseded(older)


async def test_a_refused_request_supersedes_nobody(house: House) -> None:
    older = house.ask("x")
    await house.write(1)
    with pytest.raises(ServeError):
        await house.answer("xa", model="unknown")
    await house.write(6)
    assert await older == "abcdef"


@pytest.mark.parametrize("typed", ["a", "ab"])
async def test_an_engine_that_fails_is_tried_again_for_who_has_seen_nothing(
    house: House, typed: str
) -> None:
    older = house.ask("x")
    await house.write(2)
    newer = house.ask("x" + typed)
    await house.write(0)
    house.pool.fails = True
    await house.write(1)
    house.pool.fails = False
    await house.write(6)
    assert await superseded(older)
    if typed == "ab":
        assert await newer == "abcdef"
        assert house.spent() == {"error", "ok"}
    else:
        with pytest.raises(ServeError, match="gone"):
            await newer
    assert house.balanced()


async def test_what_one_that_failed_wrote_is_no_part_of_what_is_remembered(house: House) -> None:
    house.add_spare(QueueConfig())
    whole = house.ask("x", whole=True)
    await house.write(2)
    house.pool.fails = True
    await house.write(1)
    house.pool.fails = False
    await house.write(6)
    assert await whole == "abcdef"
    house.pool.text = "uvw"
    again = house.ask("xab")
    await house.write(3)
    assert await again == "uvw"
    assert house.spent() == {"error", "ok"}
    assert house.balanced()


async def test_each_has_its_own_deadline(house: House) -> None:
    now = asyncio.get_running_loop().time()
    older = house.ask("x", deadline=now + 0.5)
    await house.write(1)
    newer = house.ask("xa", deadline=now + 60)
    await house.write(0)
    assert await superseded(older)
    await asyncio.sleep(0.6)
    await house.write(6)
    assert await newer == "bcdef"
    late = house.ask("y", deadline=asyncio.get_running_loop().time() + 0.05)
    with pytest.raises(ServeError) as caught:
        await late
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert house.balanced()


async def test_tenants_share_nothing(house: House) -> None:
    mine = house.ask("x", caller=Caller(tenant="a"))
    await house.write(1)
    yours = house.ask("xa", caller=Caller(tenant="b"))
    await house.write(12)
    assert await mine == "abcdef"
    assert await yours == "abcdef"


async def test_what_models_said_before_a_reload_is_not_said_again(house: House) -> None:
    before = house.ask("x")
    await house.write(6)
    assert await before == "abcdef"
    assert await house.answer("xab") == "cdef"
    late = house.ask("y")
    await house.write(2)
    house.service.sessions.configure(AutocompleteConfig())
    assert value(house.metrics, "suggestion_cache_entries") == 0
    # The model of the name is another by now, and one answer of the older is still on its way.
    house.pool.text = "uvw"
    newer = house.ask("yab")
    assert await superseded(late)
    again = house.ask("xab", caller=Caller(tenant="other"))
    await house.write(6)
    assert [await newer, await again] == ["uvw", "uvw"]
    late = house.ask("z")
    await house.write(1)
    house.service.sessions.configure(AutocompleteConfig())
    await house.write(5)
    assert await late == "uvw"
    house.pool.text = "new"
    newest = house.ask("z")
    await house.write(3)
    assert await newest == "new"
    assert house.balanced()


@pytest.mark.parametrize("latest_wins", [True, False])
async def test_what_another_model_said_is_not_remembered_as_the_first_ones(
    house: House, *, latest_wins: bool
) -> None:
    house.service.sessions.configure(AutocompleteConfig(latest_wins=latest_wins))
    house.add_spare(QueueConfig(concurrency=1, max_requests=0))
    holds = house.ask("hold", caller=Caller(tenant="other"))
    await house.write(0)
    elsewhere = house.ask("x")
    await house.write(0)
    await house.write(12)
    assert await holds == await elsewhere == "abcdef"
    house.pool.text = "uvw"
    asked = house.ask("xa")
    await house.write(3)
    assert await asked == "uvw"
    assert house.pool.begun == ["hold", "x", "xa"]


async def test_a_lost_bet_on_a_model_that_was_taken_out_meanwhile_is_refused(house: House) -> None:
    older = house.ask("x")
    await house.write(2)
    newer = house.ask("xabZ")
    await house.write(0)
    assert await superseded(older)
    house.gate.configure({}, {})
    await house.write(1)
    with pytest.raises(ServeError) as caught:
        await newer
    assert caught.value.code is Code.UNAVAILABLE
    assert value(house.metrics, "requests_in_flight") == 0


async def test_without_latest_wins_nothing_is_taken_over(house: House) -> None:
    house.service.sessions.configure(AutocompleteConfig(latest_wins=False))
    older = house.ask("x")
    await house.write(1)
    newer = house.ask("xa")
    await house.write(12)
    assert [await older, await newer] == ["abcdef", "abcdef"]
    assert house.balanced()
