from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from hexkey.engines.link import Link
from hexkey.types import PLAIN
from hexkey.wire.http import codec
from hexkey.wire.http.families import tabby
from hexkey.wire.http.families.tabby import TabbySegments
from hexkey.wire.http.openai_schemas import CompletionBody
from hexkey.wire.http.schemas import AutocompleteBody

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import httpx

    from hexkey.engines.link import Mailbox
    from hexkey.types import Payload, Terms, Usage
    from tests.wire.http.http_house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.client() as opened:
        yield opened


def events(response: httpx.Response) -> list[Any]:
    """The events of a stream, the end mark last."""
    assert response.headers["content-type"].startswith("text/event-stream")
    blocks = response.text.split("\n\n")
    assert blocks.pop() == ""
    assert all(block.startswith("data: ") for block in blocks)
    lines = [block.removeprefix("data: ") for block in blocks]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


async def test_autocomplete(client: httpx.AsyncClient) -> None:
    body = {"prefix": "def add(", "suffix": ")", "max_tokens": 3, "n": 2, "unknown": [1]}
    response = await client.post("/v1/autocomplete", json=body, headers={"x-request-id": "a.B-1_"})
    assert response.status_code == 200
    answer = response.json()
    assert answer["usage"].pop("timing").keys() == {
        "route_ms", "queue_ms", "prefill_ms", "decode_ms",
    }  # fmt: skip
    assert answer == {
        "id": "a.B-1_",
        "model": "coder",
        "choices": [{"index": i, "text": "w0 w1 w2 ", "finish_reason": "length"} for i in range(2)],
        "usage": {
            "input_tokens": 2,
            "output_tokens": 6,
            "cached_tokens": 0,
            "input_characters": 8,
        },
        "notes": [],
        "cached": False,
    }
    assert response.headers["x-request-id"] == "a.B-1_"
    assert response.headers["x-hexkey-model"] == "coder"
    assert response.headers["server-timing"].startswith("route;dur=")


async def test_every_field_of_autocomplete_is_taken(client: httpx.AsyncClient) -> None:
    body = {
        "model": "auto",
        "prefix": "x",
        "suffix": "y",
        "language": "python",
        "path": "b.py",
        "context": [{"path": "a.py", "text": "z"}],
        "stop_rule": "line",
        "session": "s",
        "max_tokens": 2,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 7,
        "stop": ["\n"],
        "n": 1,
        "presence_penalty": 0.1,
        "frequency_penalty": -0.1,
        "stream": False,
    }
    assert (await client.post("/v1/autocomplete", json=body)).status_code == 200
    nulls = {name: None for name in body if name != "prefix"}
    response = await client.post("/v1/autocomplete", json={"prefix": "x", **nulls})
    assert response.json()["usage"]["output_tokens"] == 256


async def test_the_path_of_the_file_to_complete_is_taken() -> None:
    own = codec.autocomplete(AutocompleteBody(prefix="x", path="b.py"))
    body = CompletionBody(segments=TabbySegments("x", filepath="b.py"))
    assert body.segments is not None
    assert (own.path, tabby.payload(body, body.segments).path) == ("b.py", "b.py")


async def test_autocomplete_stream(client: httpx.AsyncClient) -> None:
    body = {"prefix": "a b", "max_tokens": 3, "stream": True}
    response = await client.post("/v1/autocomplete", json=body)
    start, *deltas, finish, usage, done = events(response)
    assert start == {
        "start": {"id": response.headers["x-request-id"], "model": "coder", "notes": []}
    }
    assert "".join(event["delta"]["text"] for event in deltas) == "w0 w1 w2 "
    assert sum(event["delta"]["token_count"] for event in deltas) == 3
    assert finish == {"finish": {"index": 0, "reason": "length"}}
    assert usage["usage"]["output_tokens"] == 3
    assert done == "[DONE]"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["x-hexkey-model"] == "coder"


@pytest.mark.parametrize("text", ["good day", ["good day"]])
async def test_translate(client: httpx.AsyncClient, text: str | list[str]) -> None:
    response = await client.post("/v1/translate", json={"text": text, "target": "PT-br"})
    answer = response.json()
    assert answer["translations"] == [{"text": "GOOD DAY", "source": "en", "target": "pt"}]
    assert answer["model"] == "interpreter"
    assert answer["usage"]["input_characters"] == 8


async def test_translate_stream(client: httpx.AsyncClient) -> None:
    body = {"text": ["um", "dois"], "source": "pt", "target": "en", "stream": True}
    start, *rest, usage, done = events(await client.post("/v1/translate", json=body))
    assert start["start"]["pair"] == {"source": "pt", "target": "en"}
    texts = {0: "", 1: ""}
    for event in rest:
        if "delta" in event:
            texts[event["delta"]["index"]] += event["delta"]["text"]
    assert texts == {0: "UM", 1: "DOIS"}
    assert sum("finish" in event for event in rest) == 2
    assert "usage" in usage
    assert done == "[DONE]"


async def test_route_explains(client: httpx.AsyncClient) -> None:
    body = {"task": "translate", "text": "x", "target": "pt"}
    answer = (await client.post("/v1/route", json=body)).json()
    assert answer["model"] == "interpreter"
    assert answer["pair"] == {"source": "en", "target": "pt"}
    assert [one["model"] for one in answer["verdicts"] if one["kept"]] == ["interpreter"]
    chat = {"task": "chat", "messages": [{"role": "user", "content": "x"}]}
    answer = (await client.post("/v1/route", json=chat)).json()
    assert (answer["model"], answer["pair"]) == ("coder", None)
    assert (await client.post("/v1/route", json={"task": "sing"})).status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("autocomplete", {"prefix": "x", "model": "nobody"}, 404, "model"),
        ("autocomplete", {"prefix": "x", "model": "interpreter"}, 400, "model"),
        ("autocomplete", {"prefix": ""}, 400, "prefix"),
        ("autocomplete", {"prefix": "x", "context": [{"path": 1}]}, 400, "context[0].path"),
        ("autocomplete", {"prefix": "x", "context": [{}]}, 400, "context[0]"),
        ("autocomplete", {"prefix": "x", "stop_rule": "page"}, 400, "stop_rule"),
        ("autocomplete", {"prefix": "x", "n": 17}, 400, "n"),
        ("autocomplete", {"prefix": "x" * 400_001}, 413, "prefix"),
        ("translate", {"text": "x", "target": "xx"}, 404, "target"),
        ("translate", {"text": "x"}, 400, "target"),
        ("translate", {"target": "pt"}, 400, None),
        ("translate", {"text": [], "target": "pt"}, 400, "text"),
        ("translate", {"text": ["x", 1], "target": "pt"}, 400, "text[1]"),
        ("translate", {"text": "x", "target": "p" * 36}, 400, "target"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_errors(  # noqa: PLR0917 - one argument per column of the table
    client: httpx.AsyncClient,
    path: str,
    body: dict[str, object],
    status: int,
    param: str | None,
    stream: bool,  # noqa: FBT001
) -> None:
    response = await client.post(f"/v1/{path}", json={**body, "stream": stream})
    assert response.status_code == status
    error = response.json()["error"]
    assert error["param"] == param
    assert error["message"]
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("name", ["x-request-timeout-ms", "Request-Timeout-Ms"])
async def test_a_deadline(client: httpx.AsyncClient, house: House, name: str) -> None:
    body = {"model": "acme/slow", "prefix": "x", "max_tokens": 5000}
    response = await client.post("/v1/autocomplete", json=body, headers={name: "100"})
    assert response.status_code == 504
    assert response.json()["error"]["code"] == "deadline_exceeded"
    assert response.headers["x-should-retry"] == "false"
    assert response.elapsed.total_seconds() < 10
    assert await house.idle("acme/slow", 10)


async def test_a_deadline_within_a_stream_is_an_event(client: httpx.AsyncClient) -> None:
    body = {"model": "acme/slow", "prefix": "x", "max_tokens": 5000, "stream": True}
    headers = {"x-request-timeout-ms": "3000"}
    response = await client.post("/v1/autocomplete", json=body, headers=headers)
    assert response.status_code == 200
    seen = events(response)
    assert "delta" in seen[1]
    assert seen[-1]["error"]["code"] == "deadline_exceeded"


@pytest.mark.parametrize("value", ["0", "-5", "soon", "1.5", "86400001", "9" * 5000, "٣"])
async def test_a_bad_deadline(client: httpx.AsyncClient, value: str) -> None:
    headers = {b"x-request-timeout-ms": value.encode()}
    response = await client.post("/v1/autocomplete", json={"prefix": "x"}, headers=headers)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "x-request-timeout-ms"


@pytest.mark.parametrize("value", ["", "a b", "x" * 129, "a\tb", "é"])
async def test_a_bad_request_id_is_replaced(client: httpx.AsyncClient, value: str) -> None:
    response = await client.get("/health", headers={b"x-request-id": value.encode()})
    assert len(response.headers["x-request-id"]) == 32


async def test_the_engine_knows_which_answers_are_read_as_they_come(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[bool] = []
    submit = Link.submit

    def noted(
        link: Link,
        payload: Payload,
        complete: Callable[[Usage], None] = lambda _usage: None,
        terms: Terms = PLAIN,
        *,
        whole: bool = False,
    ) -> tuple[int, Mailbox]:
        said.append(whole)
        return submit(link, payload, complete, terms, whole=whole)

    monkeypatch.setattr(Link, "submit", noted)
    for stream in (False, True):
        body = {"prefix": "x", "max_tokens": 1, "stream": stream}
        assert (await client.post("/v1/autocomplete", json=body)).is_success
    several = {"model": "coder", "prompt": ["a", "b"], "max_tokens": 1}
    assert (await client.post("/v1/completions", json=several)).is_success
    assert said == [True, False, True, True]
