from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from hexkey.config import QueueConfig
from hexkey.errors import Code, ServeError
from hexkey.run import Run
from hexkey.wire.http import errors
from hexkey.wire.http.app import Application
from hexkey.wire.http.browsers import Browsers
from hexkey.wire.http.limits import HttpLimits
from tests.wire.http.http_house import open_house

if TYPE_CHECKING:
    from tests.wire.http.http_house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATHS = ["autocomplete", "translate", "route", "completions", "chat/completions"]
CANARY = "canary-4711"


@pytest.mark.parametrize("code", list(Code))
async def test_every_code_has_a_status(code: Code) -> None:
    error = ServeError(code, "why", param="field", retry_after_s=None)
    status = errors.status_of(error)
    assert 400 <= status < 600
    detail = json.loads(errors.body_of(error))["error"]
    assert detail == {
        "message": "why",
        "type": errors.TABLE[code].type,
        "param": "field",
        "code": code.value,
    }
    names = {name for name, _ in errors.headers_of(error)}
    assert (b"retry-after" in names) == (status in {429, 503})
    assert (b"x-should-retry" in names) == (status in {409, 500, 504})


async def test_retry_after_is_whole_seconds_rounded_up() -> None:
    headers = dict(errors.headers_of(ServeError(Code.UNAVAILABLE, "why", retry_after_s=1.2)))
    assert headers == {b"retry-after": b"2", b"retry-after-ms": b"1200"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"prefix":"\xff"}',
        b'{"prefix":"\\ud800"}',
        b'{"prefix":"x","temperature":NaN}',
        b'{"prefix":"x","temperature":1e999}',
        b'{"prefix":"x","n":' + b"9" * 5000 + b"}",
        b'{"prefix":"x","n":' + b"9" * 50 + b"}",
        b'{"prefix":"x","seed":' + b"9" * 50 + b"}",
        b'{"prefix":"x","n":true}',
        b'{"prefix":5}',
        b'{"prefix":null}',
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"x":' + b'{"a":' * 100_000,
        b"prefix=x",
    ],
)
@pytest.mark.parametrize("path", PATHS)
async def test_malformed_bodies_are_400(house: House, path: str, body: bytes) -> None:
    async with house.client() as client:
        response = await client.post(f"/v1/{path}", content=body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert "Traceback" not in error["message"]


async def test_unknown_paths_and_methods(house: House) -> None:
    async with house.client() as client:
        for path in ("/nowhere", "/v1/models/", "/V1/models", "//v1/models", "/v1/autocomplete/"):
            response = await client.get(path)
            assert response.status_code == 404
            assert response.json()["error"]["message"]
        response = await client.get("/v1/autocomplete")
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
        assert "POST" in response.json()["error"]["message"]
        response = await client.request("DELETE", "/v1/models", content=b"{}")
        assert (response.status_code, set(response.headers["allow"].split(", "))) == (
            405,
            {"GET", "HEAD"},
        )


@pytest.mark.parametrize("stream", [False, True])
async def test_the_text_of_an_engines_exception_stays_inside(house: House, stream: bool) -> None:  # noqa: FBT001
    body = {"prefix": f"[[bug]] {CANARY}", "stream": stream}
    async with house.client() as client:
        response = await client.post("/v1/autocomplete", json=body)
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal"
    assert CANARY not in response.text
    assert CANARY not in str(response.headers)


async def test_an_engine_that_ends_within_a_stream_ends_it_with_an_event() -> None:
    async with open_house() as house, house.client() as client:
        body = {"prompt": "[[exit]]", "stream": True, "model": "coder"}
        response = await client.post("/v1/completions", json=body)
        *_, last = [block for block in response.text.split("\n\n") if block]
        assert response.status_code == 200
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "unavailable"


async def test_a_stream_that_breaks_tells_how_many_tokens_it_told() -> None:
    body = {"prefix": "[[exit]]", "model": "coder", "max_tokens": 99, "n": 2}
    async with open_house(tokens_per_step=5) as house, house.client() as client:
        whole = await client.post("/v1/autocomplete", json=body)
        stream = await client.post("/v1/autocomplete", json={**body, "stream": True})
    assert "tokens_emitted" not in whole.json()["error"]
    *told, last = [json.loads(block[6:]) for block in stream.text.split("\n\n") if block]
    counts = [event["delta"]["token_count"] for event in told if "delta" in event]
    assert last["error"]["tokens_emitted"] == sum(counts) >= 5
    assert last["error"]["code"] == "unavailable"


async def test_a_stream_that_is_refused_told_no_tokens(house: House) -> None:
    async with house.client() as client:
        body = {"prefix": "[[bug]]", "stream": True}
        response = await client.post("/v1/autocomplete", json=body)
    assert response.status_code == 500
    assert "tokens_emitted" not in response.json()["error"]


async def test_an_unforeseen_exception_shows_an_id_only(house: House) -> None:
    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError(CANARY)

    transport = httpx.ASGITransport(Application(broken, house.service, HttpLimits(), Browsers()))
    with capture_logs() as logs:
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            response = await client.get("/ready")
    assert response.status_code == 500
    assert CANARY not in response.text
    assert logs[0]["error_id"] in response.json()["error"]["message"]
    assert "in broken" in logs[0]["traceback"]
    assert CANARY not in str(logs)


async def test_overload_is_503_with_retry_after() -> None:
    async with (
        open_house(queue=QueueConfig(concurrency=1, max_requests=0)) as house,
        house.client() as client,
    ):
        body = {"model": "acme/slow", "prefix": "x", "max_tokens": 100}
        first = asyncio.create_task(client.post("/v1/autocomplete", json=body))
        await house.busy("acme/slow")
        for stream in (False, True):
            response = await client.post("/v1/autocomplete", json={**body, "stream": stream})
            assert response.status_code == 503
            assert response.headers["retry-after"] == "1"
            assert response.json()["error"]["code"] == "overloaded"
        assert (await first).status_code == 200


async def test_a_note_can_break_no_header(house: House) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "notes", property(lambda _run: ("a note\r\nof two lines",)))
        async with house.client() as client:
            response = await client.post("/v1/autocomplete", json={"prefix": "x", "max_tokens": 1})
    assert response.status_code == 200
    assert response.headers["x-hexkey-note"] == "a note??of two lines"


@pytest.mark.parametrize(
    ("method", "path", "body", "reason"),
    [
        ("POST", "/v1/completions", b'{"prompt": "canary-4711', "invalid_argument"),
        ("POST", "/v1/completions", b'{"prompt": 1, "x": "canary-4711"}', "invalid_argument"),
        ("POST", "/v1/canary-4711", b"{}", "path_not_found"),
        ("DELETE", "/v1/completions", b"canary-4711", "method_not_allowed"),
        ("GET", "/v1/models/canary-4711", b"", "model_not_found"),
        ("POST", "/v1/completions", b'{"prompt": "", "user": "canary-4711"}', "invalid_argument"),
        ("POST", "/v1/translate", b'{"text": "canary-4711", "target": "x"}', None),
    ],
)
async def test_who_is_refused_has_one_line_in_the_log(
    house: House, method: str, path: str, body: bytes, reason: str | None
) -> None:
    headers = {"x-request-id": "one-line"}
    with capture_logs() as lines:
        async with house.client() as client:
            response = await client.request(method, path, content=body, headers=headers)
    assert response.status_code >= 400
    (line,) = lines
    assert line["event"] == "request"
    assert line["request_id"] == "one-line"
    assert line["protocol"] == "http"
    assert line["outcome"] == "invalid"
    assert line.get("reason") == reason
    assert CANARY not in json.dumps(line, default=str)
