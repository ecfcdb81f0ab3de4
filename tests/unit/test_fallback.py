"""Before the first event a request may go elsewhere, never after it, and never without bound."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from typing import cast
from unittest.mock import Mock

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from hexkey.admission import Gate, Permit
from hexkey.admission.ticket import measure
from hexkey.billing import Billing
from hexkey.charge import Charge
from hexkey.circuit import COST, ELSEWHERE, LIMIT, PAUSE_S, CircuitState
from hexkey.config import CostConfig, QueueConfig
from hexkey.devices import TIME
from hexkey.errors import Code, ServeError, invalid
from hexkey.metrics import Metrics
from hexkey.pool import Pool
from hexkey.routing import Candidate, Leg
from hexkey.routing.live import estimate
from hexkey.service import Service
from hexkey.types import Began, Delta, Event, Payload, Request, Task, Transcribe, Usage
from hexkey.validation import Limits
from tests.unit.requests import request
from tests.unit.test_metering import value

GONE = ServeError(Code.UNAVAILABLE, "gone")
LOST = ServeError(Code.UNAVAILABLE, "lost")
LOST.lost = True
GOOD: list[Event | Began | BaseException] = [Began(0.0), Delta(0, "a", 1), Usage(1, 1)]


class Trio:
    """Three models that do the same; each says its script, the others what is good."""

    def __init__(self, scripts: dict[str, list[Event | Began | BaseException]]) -> None:
        self.catalog = tuple(Candidate(name, frozenset({Task.CHAT})) for name in "abc")
        self.billing = Billing(CostConfig(), ["a", "b", "c"])
        self.scripts = scripts
        self.down: set[str] = set()
        self.unable: set[str] = set()
        self.attempts: list[str] = []
        self.pids: dict[str, int] = {}
        self.mends = False

    async def run(
        self,
        _request: Request,
        leg: Leg,
        _permit: Permit,
        charge: Charge,
        elsewhere: Callable[[], bool],
    ) -> AsyncGenerator[Event | Began]:
        self.attempts.append(leg.model)
        if leg.model in self.down and elsewhere():
            raise GONE
        charge.join(len(self.attempts))
        for one in self.scripts.get(leg.model, GOOD):
            if isinstance(one, BaseException):
                if self.mends:
                    del self.scripts[leg.model]
                raise one
            if type(one) is Usage:
                charge.complete()
            yield one

    def pid(self, model: str) -> int | None:
        return self.pids.get(model, 1)

    def vitals(self, model: str) -> tuple[bool, int]:
        return model not in self.down, 0

    def ensure_able(self, model: str, _payload: Payload) -> None:
        if model in self.unable:
            raise invalid("it cannot", "logprobs")

    def notes(self, _model: str, _payload: Payload) -> tuple[str, ...]:
        return ()


class House:
    """A service on three models, each with room for one request."""

    def __init__(self, **scripts: list[Event | Began | BaseException]) -> None:
        self.pool = Trio(scripts)
        self.gate = Gate(dict.fromkeys("abc", QueueConfig(concurrency=1, max_requests=0)))
        self.metrics = Metrics()
        self.service = Service(cast("Pool", self.pool), self.gate, self.metrics, Limits())

    async def ask(self, *, seal: bool = False, whole: bool = False) -> str:
        async with self.service.run(replace(request(), whole=whole)) as run:
            if seal:
                run.seal()
            async for _ in run:
                pass
            return run.model

    def fallbacks(self, **labels: str) -> float:
        return value(self.metrics, "fallbacks_total", **labels)

    def balanced(self) -> bool:
        out = [self.gate.running(model) for model in "abc"]
        in_flight = value(self.metrics, "requests_in_flight")
        running = [self.service.board.live(model, request()).in_flight for model in "abc"]
        return out == running == [0, 0, 0] and in_flight == 0


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with capture_logs():
        yield


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.INTERNAL])
async def test_a_failure_that_nobody_saw_goes_to_the_next_model(code: Code) -> None:
    house = House(a=[Began(0.0), ServeError(code, "gone")])
    assert await house.ask() == "b"
    assert house.pool.attempts == ["a", "b"]
    assert house.fallbacks(model="a", reason=code.value) == 1
    assert house.fallbacks() == 1
    assert house.balanced()
    lines = house.pool.billing.statement(TIME).settled
    kinds = {(line.model, line.outcome) for line in lines if line.outcome != "late"}
    assert kinds == {("a", "error"), ("b", "ok")}
    assert value(house.metrics, "requests_total", model="b", outcome="ok") == 1
    assert value(house.metrics, "requests_total") == 1


async def test_what_was_seen_stays_where_it_was() -> None:
    house = House(a=[Began(0.0), Delta(0, "x", 1), GONE])
    with pytest.raises(ServeError, match="gone"):
        await house.ask()
    assert house.pool.attempts == ["a"]
    assert house.balanced()


async def test_nobody_has_seen_anything_of_what_is_read_whole() -> None:
    house = House(a=[Began(0.0), Delta(0, "x", 3), Delta(0, "y", 2), GONE])
    wanted = replace(request(), whole=True)
    async with house.service.run(wanted) as run:
        assert [event.text async for event in run if isinstance(event, Delta)] == ["a"]
        assert run.model == "b"
    assert house.pool.attempts == ["a", "b"]
    assert house.fallbacks(model="a", reason="unavailable") == 1
    assert house.balanced()
    lines = house.pool.billing.statement(TIME).settled
    kinds = {(line.model, line.outcome) for line in lines if line.outcome != "late"}
    assert kinds == {("a", "error"), ("b", "ok")}
    assert value(house.metrics, "tokens_total", model="a", direction="output") == 5
    assert value(house.metrics, "tokens_total", model="b", direction="output") == 1


async def test_each_model_is_tried_once_for_what_is_read_whole_and_the_last_one_tells() -> None:
    script: list[Event | Began | BaseException] = [Began(0.0), Delta(0, "x", 1), GONE]
    house = House(a=script, b=script, c=script)
    with pytest.raises(ServeError, match="gone"):
        await house.ask(whole=True)
    assert house.pool.attempts == ["a", "b", "c"]
    assert house.balanced()


async def test_what_is_read_whole_and_was_lost_with_its_process_is_given_to_the_next_one() -> None:
    house = House(a=[Began(0.0), Delta(0, "x", 1), LOST])
    house.service.retries._left = 0
    house.pool.mends = True
    assert await house.ask(whole=True) == "a"
    assert house.pool.attempts == ["a", "a"]
    assert house.fallbacks() == 0, "it did not leave its model"
    house.pool.scripts["a"] = [Began(0.0), Delta(0, "x", 1), LOST]
    house.pool.mends = False
    with pytest.raises(ServeError, match="lost"):
        await house.ask(whole=True)
    assert house.pool.attempts[2:] == ["a", "a"], "once, however often it is lost"
    house.pool.attempts.clear()
    with pytest.raises(ServeError, match="lost"):
        await house.ask()
    house.service.stopping = True
    with pytest.raises(ServeError, match="lost"):
        await house.ask(whole=True)
    assert house.pool.attempts == ["a", "a"], "not where it was seen, nor by a server that stops"
    assert house.balanced()


async def test_an_answer_that_is_read_whole_ends_as_any_other() -> None:
    house = House()
    async with house.service.run(replace(request(), whole=True)) as run:
        assert [type(event) async for event in run] == [Delta, Usage]
        assert [event async for event in run] == []


async def test_who_was_told_which_model_serves_keeps_it() -> None:
    house = House(a=[GONE])
    with pytest.raises(ServeError, match="gone"):
        await house.ask(seal=True)
    assert house.pool.attempts == ["a"]


@pytest.mark.parametrize("error", [ServeError(Code.DEADLINE_EXCEEDED, "late"), invalid("long")])
async def test_what_is_no_fault_of_the_engine_is_no_reason(error: ServeError) -> None:
    house = House(a=[error])
    with pytest.raises(ServeError):
        await house.ask()
    assert house.pool.attempts == ["a"]
    assert house.service.board.circuits().get("a", CircuitState.CLOSED) is CircuitState.CLOSED


async def test_a_full_model_sends_to_the_next() -> None:
    house = House()
    with await house.gate.admit(request(), "a"):
        assert await house.ask() == "b"
    assert house.pool.attempts == ["b"]
    assert house.fallbacks(model="a", reason="unavailable") == 1


async def test_a_model_that_cannot_do_it_sends_to_the_next_and_the_last_one_tells() -> None:
    house = House()
    house.pool.unable = {"a"}
    assert await house.ask() == "b"
    house.pool.unable = {"a", "b", "c"}
    with pytest.raises(ServeError, match="it cannot"):
        await house.ask()
    assert house.balanced()


async def test_a_model_that_is_down_comes_last_and_asks_before_it_lets_wait() -> None:
    house = House(b=[GONE], c=[GONE])
    house.pool.down = {"a"}
    assert await house.ask() == "a"
    assert house.pool.attempts == ["b", "c", "a"], "a has nobody behind it, so it lets wait"
    house.pool.attempts.clear()
    house.pool.down = {"a", "b", "c"}
    house.pool.scripts.clear()
    assert await house.ask() == "c"
    assert house.pool.attempts == ["a", "b", "c"]


async def test_a_storm_stays_within_a_fifth_more_attempts_and_no_circuit_refuses() -> None:
    house = House(a=[GONE], b=[GONE], c=[GONE])
    for _ in range(600):
        with pytest.raises(ServeError):
            await house.ask()
    assert 600 < len(house.pool.attempts) <= 720
    assert house.balanced()
    house.pool.scripts.clear()
    assert await house.ask() in {"a", "b", "c"}


async def test_a_model_that_fails_is_left_alone_and_comes_back() -> None:
    house = House(a=[GONE])
    now = 0.0
    house.service.board._clock = lambda: now
    with capture_logs() as logs:
        for _ in range(LIMIT // COST + 60):
            assert await house.ask() == "b"
    told = [(one["model"], one["state"]) for one in logs if one["event"] == "circuit"]
    assert told == [("a", "open")]
    assert house.pool.attempts.count("a") == LIMIT // COST
    assert value(house.metrics, "circuit_state", model="a", state="open") == 1
    house.pool.scripts.clear()
    now = PAUSE_S
    assert value(house.metrics, "circuit_state", model="a", state="half_open") == 1
    for _ in range(ELSEWHERE - 60 + LIMIT):
        assert value(house.metrics, "circuit_state", model="a", state="closed") == 0
        served = await house.ask()
    assert served == "a"
    assert value(house.metrics, "circuit_state", model="a", state="closed") == 1


async def test_one_whose_process_is_new_is_looked_at_at_once() -> None:
    house = House(a=[GONE])
    house.service.board._clock = lambda: 0.0
    for _ in range(LIMIT // COST):
        await house.ask()
    assert await house.ask() == "b"
    house.pool.scripts.clear()
    house.pool.pids["a"] = 2
    assert [await house.ask() for _ in range(LIMIT)] == ["a"] * LIMIT
    assert value(house.metrics, "circuit_state", model="a", state="closed") == 1


async def test_who_asks_how_it_would_be_routed_is_no_request_that_goes_elsewhere() -> None:
    house = House(a=[GONE])
    now = 0.0
    house.service.board._clock = lambda: now
    for _ in range(LIMIT // COST):
        await house.ask()
    now = PAUSE_S
    for _ in range(2 * ELSEWHERE):
        assert (await house.service.explain(request())).routes[0].model == "b"
    house.pool.attempts.clear()
    for _ in range(ELSEWHERE):
        await house.ask()
    assert house.pool.attempts == ["b"] * ELSEWHERE
    await house.ask()
    assert house.pool.attempts[ELSEWHERE:] == ["a", "b"]


async def test_every_request_is_counted_by_why_its_model_was_chosen() -> None:
    house = House()
    await house.ask()
    assert value(house.metrics, "routed_total", model="a", reason="first") == 1


async def test_what_is_foretold_of_a_task_without_tokens_is_what_was_measured() -> None:
    house = House(a=[Began(0.0), Delta(0, "a", 100), Usage(1, 100, audio_seconds=30.0)])
    catalog = house.pool.catalog
    house.pool.catalog = tuple(Candidate(one.name, frozenset({Task.TRANSCRIBE})) for one in catalog)
    wanted = request(Transcribe(audio=b"RIFF"))
    for _ in range(3):
        async with house.service.run(wanted) as run:
            assert [event async for event in run]
    live = house.service.board.live("a", wanted)
    assert live.units == 1
    expected = estimate(replace(live, pico_per_unit=7), wanted.payload)
    assert expected is not None
    assert expected.pico == 7


async def test_a_request_is_measured_once_for_all_models(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    counted = Mock(side_effect=measure)
    for place in ("hexkey.board.measure", "hexkey.admission.gate.measure"):
        monkeypatch.setattr(place, counted)
    assert len((await house.service.plan(request())).routes) == 3
    assert counted.call_count == 1


async def test_what_requests_took_is_known_afterwards() -> None:
    house = House()
    for _ in range(3):
        await house.ask()
    live = house.service.board.live("a", request())
    assert (live.measured, live.units, live.known) == (3, 1.0, True)
    assert live.fixed_s + live.s_per_unit > 0
