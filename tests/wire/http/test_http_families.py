"""What all families of APIs owe their clients, whichever it is; tests/e2e/clients has their own."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from hexkey.errors import Code, ServeError
from hexkey.routing import Candidate, Pair, Rules
from hexkey.text.languages import name
from hexkey.types import ANYBODY, Task
from hexkey.wire.http import errors
from hexkey.wire.http.access import Access
from hexkey.wire.http.errors import OPENAI, Dialect
from hexkey.wire.http.families import languages
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.stream import NDJSON
from hexkey.wire.http.table import DIALECTS, OPERATIONS, dialect_of
from tests.wire.http.http_house import SLOW_STEP_MS, open_house

if TYPE_CHECKING:
    from tests.wire.http.http_house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")
WITH_BODY = [one for one in OPERATIONS if one.body and one.access is not Access.ADMIN]
BAD = [b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"x":' + b"[" * 100_000]


def path_of(operation: Operation) -> str:
    return operation.path.replace("{id}", "acme/slow")


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda one: one.name)
@pytest.mark.parametrize("code", list(Code))
async def test_every_family_has_a_word_for_every_code(dialect: Dialect, code: Code) -> None:
    error = ServeError(code, "this is why", param="field")
    assert 400 <= errors.status_of(error, dialect) < 600
    body = errors.body_of(error, dialect)
    assert b"this is why" in body
    msgspec.json.decode(body, type=dialect.body)


async def test_no_value_is_unprocessable() -> None:
    assert 422 not in {status for dialect in DIALECTS for status in dialect.statuses.values()}


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda one: one.path)
@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
async def test_malformed_bodies_are_refused_in_the_familys_words(
    house: House, operation: Operation, body: bytes
) -> None:
    async with house.client() as client:
        response = await client.post(path_of(operation), content=body)
    assert response.status_code == 400
    msgspec.json.decode(response.content, type=operation.dialect.body)


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda one: one.path)
async def test_a_wrong_method_is_told_in_the_familys_words(
    house: House, operation: Operation
) -> None:
    async with house.client() as client:
        response = await client.put(path_of(operation), json={})
    assert response.status_code == 405
    assert operation.method in response.headers["allow"]
    msgspec.json.decode(response.content, type=operation.dialect.body)


async def test_what_nobody_knows_is_told_as_openai_does() -> None:
    assert dialect_of("/nowhere") is OPENAI
    assert dialect_of("/models") is OPENAI
    assert dialect_of("/models/acme/slow").name == "HfError"


async def test_languages_hold_what_a_third_leads_to_and_only_what_has_a_name() -> None:
    translate = frozenset({Task.TRANSLATE})
    catalog = (
        Candidate("one", translate, (Pair("pt-BR", "en"), Pair("*", "en"))),
        Candidate("two", translate, (Pair("en", "de"),)),
    )
    service: Any = SimpleNamespace(catalog=lambda _caller: catalog, rules=Rules())
    found = languages.directions(service, ANYBODY)
    assert found == [Pair("en", "de"), Pair("pt-BR", "de"), Pair("pt-BR", "en")]
    service.rules = Rules(pivot=False)
    assert languages.directions(service, ANYBODY) == [Pair("en", "de"), Pair("pt-BR", "en")]
    assert name("pt-BR") == "Portuguese (BR)"
    assert name("xx") == "xx"


BROKEN = [
    ("/api/generate", {"model": "coder", "prompt": "[[exit]]", "raw": True}),
    ("/infill", {"input_prefix": "[[exit]]", "input_suffix": "", "stream": True}),
    ("/v1/fim/completions", {"prompt": "[[exit]]", "stream": True}),
    ("/", {"inputs": "[[exit]]", "stream": True}),
    ("/v1/responses", {"input": "[[exit]]", "stream": True}),
    (
        "/v1/messages",
        {
            "model": "chat",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "[[exit]]"}],
            "stream": True,
        },
    ),
]


@pytest.mark.parametrize(("path", "body"), BROKEN)
async def test_a_stream_that_breaks_ends_with_the_familys_error(
    path: str, body: dict[str, object]
) -> None:
    async with open_house() as house, house.client() as client:
        response = await client.post(path, json=body)
    assert response.status_code == 200
    operation = next(one for one in WITH_BODY if one.path == path)
    pieces = response.content.split(operation.framing.after)
    assert pieces.pop() == b""
    *named, last = pieces[-1].split(b"\n")
    assert named == ([b"event: error"] if operation.framing.named else [])
    last = last.removeprefix(operation.framing.before)
    msgspec.json.decode(last, type=operation.dialect.body)
    error = json.loads(last)
    detail = error["error"] if isinstance(error.get("error"), dict) else error
    words = re.findall(rb"w\d+ ", response.content)
    assert detail["tokens_emitted"] == len(words) > 0


async def test_a_quiet_stream_of_lines_stays_json(house: House) -> None:
    assert json.loads(NDJSON.keep_alive * 3 + NDJSON.frame(b"{}")) == {}
    async with house.client() as client:
        body = {"model": "coder", "prompt": "x", "raw": True, "options": {"num_predict": 3}}
        response = await client.post("/api/generate", json=body)
    assert response.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert "".join(line["response"] for line in lines) == "w0 w1 w2 "


async def test_an_answer_that_comes_whole_tells_how_long_its_tokens_took(house: House) -> None:
    tokens = 8
    written_s = (tokens - 1) * SLOW_STEP_MS / 1000
    async with house.client() as client:
        body = {"model": "acme/slow", "prompt": "x", "stream": False}
        answer = await client.post(
            "/api/generate", json={**body, "options": {"num_predict": tokens}}
        )
        told = answer.json()
        assert told["eval_count"] == tokens
        # The first of them may have been written with the prompt's step.
        assert told["eval_duration"] / 1e9 > written_s / 2
        assert told["prompt_eval_duration"] > 0
        body = {"model": "acme/slow", "input_prefix": "x", "input_suffix": "", "stream": False}
        answer = await client.post("/infill", json={**body, "n_predict": tokens})
        assert answer.json()["timings"]["predicted_ms"] / 1000 > written_s / 2
