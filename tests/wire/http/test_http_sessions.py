"""Typing sessions and priorities over HTTP: real sockets, a fake engine in a real host."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from typing import Any

import pytest

from hexkey.config import QueueConfig
from tests.unit.test_metering import value
from tests.waiting import soon
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
    assert time.monotonic() - begun < 5
    assert response.status_code == 409
    assert response.headers["x-should-retry"] == "false"
    assert response.json()["error"]["code"] == "superseded"
    assert (await newer).status_code == 200
    assert superseded(house) == before + 1
    assert await house.idle("acme/slow", 10)


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
        first = asyncio.create_task(post(house, {**SLOW, "session": "", "max_tokens": 100}))
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


WRITING = {"model": "acme/slow", "prefix": "def add", "max_tokens": 60, "session": "joiner"}
WRITTEN = "".join(f"w{number} " for number in range(60))


def found(house: House, result: str) -> float:
    return value(house.service.metrics, "suggestions_total", result=result)


async def begun(house: House) -> None:
    """Wait until something of the session's answer is written, which takes a second more."""

    def written() -> bool:
        newest = house.service.sessions._newest.get(("", "joiner"))
        return bool(newest and newest.reading and newest.reading._draft._parts)

    await soon(written)


@pytest.mark.parametrize("typed", ["w", "w0 w1 ", "w0 w1 w2 w3 w4 w5 w6 w7", ""])
@pytest.mark.parametrize("stream", [False, True])
async def test_who_types_what_is_being_written_takes_the_answer_over(
    house: House, typed: str, *, stream: bool
) -> None:
    joined, diverged = found(house, "joined"), found(house, "diverged")
    body = {**WRITING, "language": f"{typed} {stream}"}
    older = asyncio.create_task(post(house, body | {"stream": stream}))
    await begun(house)
    newer = await post(house, body | {"prefix": "def add" + typed})
    ended = await older
    assert json.loads(ended.text.rsplit("data: ")[-1])["error"]["code"] == "superseded"
    # One that was begun anew would begin with w0 again: the fake model knows no prefix.
    assert newer.json()["choices"][0]["text"] == WRITTEN.removeprefix(typed)
    assert newer.json()["cached"] is False
    assert found(house, "joined") == joined + 1
    assert found(house, "diverged") == diverged
    assert await house.idle("acme/slow", 10)


@pytest.mark.parametrize(("typed", "joins"), [("x", 0), ("w0 w1 w2 w9", 1)])
async def test_who_types_something_else_is_answered_anew(
    house: House, typed: str, joins: int
) -> None:
    joined, diverged = found(house, "joined"), found(house, "diverged")
    body = {**WRITING, "language": typed}
    older = asyncio.create_task(post(house, body))
    await begun(house)
    newer = await post(house, body | {"prefix": "def add" + typed})
    assert (await older).status_code == 409
    assert newer.json()["choices"][0]["text"] == WRITTEN
    assert found(house, "joined") == joined + joins
    assert found(house, "diverged") == diverged + joins
    assert await house.idle("acme/slow", 10)


async def test_what_is_being_written_is_for_the_very_same_question_only(house: House) -> None:
    joined = found(house, "joined")
    for other in ({"suffix": "x"}, {"max_tokens": 59}, {"temperature": 1.0}, {"session": "else"}):
        older = asyncio.create_task(post(house, WRITING))
        await house.busy("acme/slow")
        newer = await post(house, {**WRITING, "prefix": "def addw", **other})
        assert newer.json()["choices"][0]["text"].startswith("w0 ")
        older.cancel()
        await asyncio.gather(older, return_exceptions=True)
        assert await house.idle("acme/slow", 10)
    assert found(house, "joined") == joined


async def test_who_takes_over_and_vanishes_ends_the_work(house: House) -> None:
    body = {**WRITING, "max_tokens": 2000}
    older = asyncio.create_task(post(house, body))
    await house.busy("acme/slow")
    newer = asyncio.create_task(post(house, body | {"prefix": "def addw"}))
    assert (await older).status_code == 409
    await asyncio.sleep(0.1)
    assert house.running("acme/slow") == 1
    newer.cancel()
    await asyncio.gather(newer, return_exceptions=True)
    assert await house.idle("acme/slow", 10)
    assert house.service._gate.running("acme/slow") == 0


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


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"prompt": "def add"}),
        ("/v1/completions", {"language": "python", "segments": {"prefix": "def add"}}),
        ("/v1/fim/completions", {"prompt": "def add", "suffix": "\n"}),
        ("/infill", {"input_prefix": "def add", "input_suffix": ""}),
        ("/api/generate", {"prompt": "def add", "raw": True, "stream": False}),
    ],
    ids=str,
)
async def test_a_header_names_the_session_on_other_peoples_paths(
    house: House, path: str, body: dict[str, Any]
) -> None:
    slow = {"model": "acme/slow", "max_tokens": 500, "n_predict": 500, **body}
    headers = {"x-hexkey-session": f"other{path}"}
    async with house.client() as client:
        older = asyncio.create_task(client.post(path, json=slow, headers=headers))
        await house.busy("acme/slow")
        # What a newer request asks for is no matter: its session is the same.
        newer = {**SLOW, "max_tokens": 1, "session": headers["x-hexkey-session"]}
        assert (await post(house, newer)).status_code == 200
        assert (await older).status_code == 409
    assert await house.idle("acme/slow", 10)


async def test_prompts_of_one_request_do_not_end_each_other(house: House) -> None:
    body = {"model": "coder", "prompt": ["a", "b", "c"], "max_tokens": 3}
    async with house.client() as client:
        answer = await client.post(
            "/v1/completions", json=body, headers={"x-hexkey-session": "three"}
        )
    assert answer.status_code == 200
    assert [one["text"] for one in answer.json()["choices"]] == ["w0 w1 w2 "] * 3


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embed", {"text": "a"}),
        ("/v1/rerank", {"query": "a", "documents": ["b"]}),
        ("/v1/classify", {"text": "a"}),
        ("/v1/summarize", {"text": "a"}),
        ("/v1/transcribe", {"audio": "AAAA"}),
        ("/v1/translate", {"text": "a", "source": "en", "target": "pt"}),
        ("/v1/autocomplete", {"prefix": "a"}),
    ],
    ids=str,
)
async def test_every_task_takes_priority_and_constraints(
    house: House, path: str, body: dict[str, Any]
) -> None:
    async with house.client() as client:
        for field in ({"priority": "batch"}, {"priority": "interactive", "constraints": {}}):
            assert (await client.post(path, json=body | field)).status_code == 200
        asked = body | {"constraints": {"labels": {"region": "mars"}}}
        refused = await client.post(path, json=asked)
        assert refused.json()["error"]["code"] == "constraints_not_met"
        assert (await client.post(path, json=body | {"priority": "soon"})).status_code == 400


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

        tasks = [asyncio.create_task(ask("first", {}))]
        pid = house.service.pool.pids()["acme/slow"]
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)  # nobody is through before the last has come
        try:
            await soon(lambda: house.service._gate.running("acme/slow") == 1)
            for name, body, headers in (
                ("batch", {"priority": "batch"}, {}),
                ("normal", {}, {}),
                ("header", {}, {"x-hexkey-priority": "interactive"}),
                ("field", {"priority": "interactive"}, {"x-hexkey-priority": "batch"}),
            ):
                tasks.append(asyncio.create_task(ask(name, body, **headers)))
                come = len(tasks) - 1
                await soon(lambda come=come: house.service._gate.waiting("acme/slow") == come)  # type: ignore[misc]
        finally:
            os.kill(pid, signal.SIGCONT)
        await asyncio.gather(*tasks)
        assert done == ["first", "header", "field", "normal", "batch"]
