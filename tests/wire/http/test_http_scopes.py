"""What a key opens over HTTP, on one server with keys: its own tasks and models, no others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from hexkey.identity.keyring import Keyring
from hexkey.identity.keys import KeyRecord, make
from hexkey.identity.quota import Allowance
from tests.wire.http.http_house import post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.wire.http.http_house import House

import pytest_asyncio

pytestmark = pytest.mark.asyncio(loop_scope="module")
PEPPER = bytes(32)
SCOPES: dict[str, tuple[str, ...]] = {
    "all": (),
    "coder": ("task:translate", "task:chat", "model:coder"),
    "interpreter": ("task:translate", "model:interpreter"),
    "metrics": ("metrics",),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keys(house: House) -> AsyncIterator[dict[str, str]]:
    """A key for each set of scopes, on a server that needs one."""
    made = {name: make(PEPPER, "acme", scopes, now=0) for name, scopes in SCOPES.items()}
    records: list[KeyRecord] = [record for _, record in made.values()]
    before = house.service.access.keyring
    house.service.access.keyring = Keyring(records, PEPPER, required=True)
    yield {name: key for name, (key, _) in made.items()}
    house.service.access.keyring = before


async def ask(
    house: House, key: str, path: str, body: dict[str, Any] | None = None
) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    async with house.client() as client:
        if body is None:
            return await client.get(path, headers=headers)
        return await client.post(path, json=body, headers=headers)


async def test_ollama_loads_only_what_is_the_callers_to_use(
    house: House, keys: dict[str, str]
) -> None:
    bodies: dict[str, dict[str, Any]] = {"/api/generate": {}, "/api/chat": {"messages": []}}
    for path, empty in bodies.items():
        for model in ("coder", "acme/slow"):
            await house.service.pool.unload(model)
        body = {"model": "coder", **empty}
        asked = {
            name: (await ask(house, key, path, body)).status_code for name, key in keys.items()
        }
        assert asked == {"all": 200, "coder": 200, "interpreter": 404, "metrics": 403}
        assert house.service.pool.states()["coder"] == "ready"
        gone = await ask(house, keys["coder"], path, {"model": "acme/slow", **empty})
        assert gone.status_code == 404
        assert "acme/slow" not in gone.json()["error"].partition("there is:")[2]
        assert house.service.pool.states()["acme/slow"] == "stopped"


@pytest.mark.parametrize("keep_alive", [0, "0", "0s"])
async def test_to_ask_ollama_to_unload_loads_nothing(
    house: House, keys: dict[str, str], keep_alive: object
) -> None:
    await house.service.pool.unload("coder")
    body = {"model": "coder", "keep_alive": keep_alive}
    answer = (await ask(house, keys["all"], "/api/generate", body)).json()
    assert (answer["done"], answer["done_reason"]) == (True, "unload")
    assert house.service.pool.states()["coder"] == "stopped"
    assert (await ask(house, keys["all"], "/api/generate", {"model": "coder"})).status_code == 200


async def test_to_have_ollama_load_is_a_request_of_ones_quota(
    house: House, keys: dict[str, str]
) -> None:
    house.service.access.allow({"acme": Allowance(requests_per_minute=2, concurrent=1)})
    try:
        await house.service.pool.unload("coder")
        for status in (200, 200, 429):
            answer = await ask(house, keys["coder"], "/api/generate", {"model": "coder"})
            assert answer.status_code == status
        assert int(answer.headers["retry-after"]) > 0
        assert "2 requests per minute" in answer.json()["error"]
        assert house.service.access.quotas._accounts["acme"].running == 0
    finally:
        house.service.access.allow({})


@pytest.mark.parametrize("stream", [False, True])
async def test_prompts_of_one_request_take_turns_within_their_tenants_bound(
    house: House,
    keys: dict[str, str],
    stream: bool,  # noqa: FBT001
) -> None:
    body = {"model": "coder", "prompt": ["a", "b", "c", "d"], "max_tokens": 5, "stream": stream}
    for most in (1, 3):
        house.service.access.allow({"acme": Allowance(concurrent=most)})
        try:
            answer = await ask(house, keys["all"], "/v1/completions", body)
            assert answer.status_code == 200
            assert "exhausted" not in answer.text
            if not stream:
                assert [one["index"] for one in answer.json()["choices"]] == [0, 1, 2, 3]
            assert house.service.access.quotas._accounts["acme"].running == 0
        finally:
            house.service.access.allow({})


async def test_a_key_sees_its_models_only(house: House, keys: dict[str, str]) -> None:
    await house.service.pool.load("coder")

    async def seen(path: str, key: str) -> Any:
        return (await ask(house, keys[key], path)).json()

    listed = await seen("/v1/models", "coder")
    assert [one["id"] for one in listed["data"]] == ["coder"]
    for path in ("/api/tags", "/api/ps"):
        assert [one["name"] for one in (await seen(path, "coder"))["models"]] == ["coder"]
    assert (await seen("/v1/health", "interpreter"))["model"] is None
    assert await seen("/languages", "coder") == []
    assert len(await seen("/languages", "interpreter")) == 2
    assert await seen("/v2/languages", "coder") == []
    assert (await seen("/v2/glossary-language-pairs", "coder"))["supported_languages"] == []
    for path in ("/v1/models/reader", "/v2/models/reader", "/v2/models/reader/ready"):
        hidden = await ask(house, keys["coder"], path)
        assert hidden.status_code == 404
        assert "interpreter" not in hidden.text
        assert (await ask(house, keys["all"], path)).status_code == 200


async def test_a_key_for_metrics_runs_nothing(house: House, keys: dict[str, str]) -> None:
    assert (await ask(house, keys["metrics"], "/metrics")).status_code == 200
    for path, body in (
        ("/v1/autocomplete", {"prefix": "x"}),
        ("/v1/route", {"task": "autocomplete", "prefix": "x"}),
        ("/translate", {"q": "x", "target": "pt"}),
        ("/detect", {"q": "The weather is nice today."}),
    ):
        assert (await ask(house, keys["metrics"], path, body)).status_code == 403


@pytest.mark.parametrize("key", ["", "hk_aaaaaaaa_" + "x" * 43, "none"])
async def test_no_body_is_read_of_whoever_has_no_key(
    house: House, keys: dict[str, str], key: str
) -> None:
    assert keys
    head = post("/v1/autocomplete", b"x" * 5_000_000, f"Authorization: Bearer {key}")[:-5_000_000]
    reader, writer = await house.connect()
    writer.write(head)
    async with asyncio.timeout(20):
        assert b" 401 " in await reader.readline()
    # What comes of it after all is thrown away, and the connection stays of use.
    writer.write(b"x" * 5_000_000 + b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(20):
        await reader.readuntil(b'"ok"}')
    writer.close()


async def test_who_keeps_the_key_in_the_body_is_heard(house: House, keys: dict[str, str]) -> None:
    body = {"q": "x", "source": "en", "target": "pt"}
    async with house.client() as client:
        assert (await client.post("/translate", json=body)).status_code == 401
        body["api_key"] = keys["interpreter"]
        assert (await client.post("/translate", json=body)).status_code == 200
        assert (await client.post("/translate", data=body)).status_code == 200
        # As a browser's FormData is sent.
        parts = {name: (None, value) for name, value in body.items()}
        answer = await client.post("/translate", files=parts)
        assert answer.status_code == 200, answer.text
        assert answer.json()["translatedText"]
        twice = [
            ("q", (None, "a")),
            ("q", (None, "b")),
            *((n, parts[n]) for n in parts if n != "q"),
        ]
        answer = await client.post("/translate", files=twice)
        assert len(answer.json()["translatedText"]) == 2
        listed = {"q[]": "a", **{name: value for name, value in body.items() if name != "q"}}
        for sent in ({"data": listed}, {"files": {n: (None, v) for n, v in listed.items()}}):
            answer = await client.post("/translate", **sent)
            assert len(answer.json()["translatedText"]) == 1
            assert isinstance(answer.json()["translatedText"], list)
        assert (await client.post("/detect", json=body)).status_code == 200
        # Other families have no such field.
        assert (await client.post("/v1/translate", json={**body, "text": "x"})).status_code == 401


ODD = [
    "/v1/models", "//v1/models", "/v1//models", "/v1/models/", "/./v1/models", "/v1/x/../models",
    "/health/../v1/models", "/%76%31/models", "/v1%2fmodels", "/v1%2Fmodels", "/v1/models%00",
    "/v1/models%20", "/v1/models?x=/health", "/v1/models#/health", "/V1/Models", "/v1/models;x",
    "/health%2f..%2fv1/models", "/health/%2e%2e/v1/models", "/v1/models%3f", "/v1\\models",
    "http://localhost/v1/models", "http://localhost//v1/models", "http://evil/v1/models",
    "HTTP://LOCALHOST/v1/models", "http://localhost/health/../v1/models", "http:/v1/models",
    "/metrics", "//metrics", "/metrics/", "/%6detrics", "/metrics;x", "http://localhost/metrics",
    "/metrics/engines/coder", "/metrics/engines//coder", "/metrics/engines/..", "/openapi.json/",
    "/dashboard/../metrics", "/dashboard/%2e%2e/metrics", "/dashboard//metrics", "*", "metrics",
]  # fmt: skip


@pytest.mark.parametrize("target", ODD)
async def test_no_way_to_write_a_path_leads_past_the_key(
    house: House, keys: dict[str, str], target: str
) -> None:
    assert keys
    for host in (b"localhost", b"health", b"localhost/health"):
        reader, writer = await house.connect()
        writer.write(
            b"GET %b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % (target.encode(), host)
        )
        async with asyncio.timeout(10):
            answer = await reader.read()
        assert answer.split(b" ", 2)[1] in {b"400", b"401", b"404", b"421"}, answer[:200]
        assert b"coder" not in answer.partition(b"\r\n\r\n")[2]
        writer.close()
