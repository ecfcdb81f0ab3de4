"""Typing sessions and priorities over HTTP: real sockets, a fake engine in a real host."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from hexkey.config import QueueConfig
from tests.unit.test_metering import value
from tests.wire.http.http_house import House, open_house

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOW = {"model": "acme/slow", "prefix": "def add", "max_tokens": 500, "session": "cursor"}


async def post(house: House, body: dict[str, Any], **headers: str) -> Any:
    async with house.client() as client:
        return await client.post("/v1/autocomplete", json=body, headers=headers)


def superseded(house: House) -> float:
    return value(house.service.metrics, "requests_total", outcome="superseded")


async def test_a_newer_request_ends_the_older_one_in_the_engine_at_once(house: House) -> None:
    older = asyncio.create_task(post(house, SLOW))
    await house.busy("acme/slow")
    before = superseded(house)
    begun = time.monotonic()
    newer = asyncio.create_task(post(house, {**SLOW, "prefix": "def add(", "max_tokens": 1}))
    response = await older
    assert time.monotonic() - begun < 2
    assert response.status_code == 409
    assert response.headers["x-should-retry"] == "false"
    assert response.json()["error"]["code"] == "superseded"
    assert (await newer).status_code == 200
    assert superseded(house) == before + 1
    assert await house.idle("acme/slow", 5)


async def test_a_stream_that_is_superseded_says_so_as_its_last_event(house: House) -> None:
    async with (
        house.client() as client,
        client.stream("POST", "/v1/autocomplete", json={**SLOW, "stream": True}) as response,
    ):
        lines = response.aiter_lines()
        assert "start" in await anext(lines)
        assert (await post(house, {**SLOW, "max_tokens": 1})).status_code == 200
        seen = [line async for line in lines if line]
    assert json.loads(seen[-1].removeprefix("data: "))["error"]["code"] == "superseded"


async def test_a_newer_request_ends_the_older_one_in_the_queue() -> None:
    async with open_house(queue=QueueConfig(concurrency=1)) as house:
        first = asyncio.create_task(post(house, {**SLOW, "session": "", "max_tokens": 50}))
        await house.busy("acme/slow")
        older = asyncio.create_task(post(house, SLOW))
        while not house.service._gate.waiting("acme/slow"):  # noqa: ASYNC110 - no event outside
            await asyncio.sleep(0.01)
        newer = asyncio.create_task(post(house, {**SLOW, "max_tokens": 2}))
        assert (await older).status_code == 409
        assert not first.done()
        assert (await first).status_code == (await newer).status_code == 200
        assert superseded(house) == 1
        assert value(house.service.metrics, "rejected_total") == 0
        assert value(house.service.metrics, "queue_seconds_count", outcome="superseded") == 1


async def test_who_types_what_was_suggested_gets_the_rest_without_a_model(house: House) -> None:
    body = {"model": "coder", "prefix": "x = ", "max_tokens": 4, "session": "typist"}
    first = (await post(house, body)).json()
    assert (first["choices"][0]["text"], first["cached"]) == ("w0 w1 w2 w3 ", False)
    steps = value(house.service.metrics, "engine_step_seconds_count", model="coder")
    for typed, left in (("w", "0 w1 w2 w3 "), ("w0 w1 ", "w2 w3 "), ("w0 w1 w2 w", "3 ")):
        answer = (await post(house, {**body, "prefix": "x = " + typed})).json()
        assert (answer["choices"][0]["text"], answer["cached"]) == (left, True)
        assert answer["choices"][0]["finish_reason"] == "length"
        assert (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]) == (0, 0)
    assert value(house.service.metrics, "engine_step_seconds_count", model="coder") == steps
    assert value(house.service.metrics, "suggestions_total", result="hit") >= 3
    # Who names no session is answered anew.
    fresh = (await post(house, {**body, "session": "", "prefix": "x = w0 "})).json()
    assert (fresh["cached"], fresh["choices"][0]["text"]) == (False, "w0 w1 w2 w3 ")


async def test_a_stream_from_the_cache_says_that_it_is(house: House) -> None:
    body = {"model": "coder", "prefix": "y = ", "max_tokens": 3, "session": "reader"}
    await post(house, body)
    response = await post(house, {**body, "prefix": "y = w0 ", "stream": True})
    events = [json.loads(line[6:]) for line in response.text.splitlines() if line[6:7] == "{"]
    assert events[0]["start"]["cached"] is True
    assert events[1]["delta"]["text"] == "w1 w2 "
    assert events[-1]["usage"]["output_tokens"] == 0


@pytest.mark.parametrize("wrong", ["", "urgent", "5"])
async def test_a_priority_that_is_none_is_refused_by_name(house: House, wrong: str) -> None:
    header = await post(house, {"prefix": "x"}, **{"x-hexkey-priority": wrong})
    assert header.status_code == 400
    assert header.json()["error"]["param"] == "x-hexkey-priority"
    field = await post(house, {"prefix": "x", "priority": wrong})
    assert field.status_code == 400
    assert field.json()["error"]["param"] == "priority"


async def test_the_urgent_go_first_by_field_and_by_header() -> None:
    async with open_house(queue=QueueConfig(concurrency=1)) as house:
        done: list[str] = []

        async def ask(name: str, body: dict[str, Any], **headers: str) -> None:
            tokens = {"model": "acme/slow", "prefix": "x", "max_tokens": 3}
            assert (await post(house, {**tokens, **body}, **headers)).status_code == 200
            done.append(name)

        tasks = [asyncio.create_task(ask("first", {"max_tokens": 30}))]
        await house.busy("acme/slow")
        for name, body, headers in (
            ("batch", {"priority": "batch"}, {}),
            ("normal", {}, {}),
            ("header", {}, {"x-hexkey-priority": "interactive"}),
            ("field", {"priority": "interactive"}, {"x-hexkey-priority": "batch"}),
        ):
            tasks.append(asyncio.create_task(ask(name, body, **headers)))
            while house.service._gate.waiting("acme/slow") < len(tasks) - 1:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await asyncio.gather(*tasks)
        assert done == ["first", "header", "field", "normal", "batch"]
