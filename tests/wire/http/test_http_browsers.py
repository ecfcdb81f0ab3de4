"""Web pages of others: without keys they get nothing done here, and nothing to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hexkey.identity.keyring import Keyring
from hexkey.identity.keys import make

if TYPE_CHECKING:
    from tests.wire.http.http_house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")
BODY: dict[str, Any] = {"prefix": "x", "max_tokens": 1}


async def asked(house: House, headers: dict[str, str], method: str = "POST") -> tuple[int, str]:
    path = "/v1/autocomplete" if method == "POST" else "/v1/models"
    async with house.client() as client:
        content = b'{"prefix": "x", "max_tokens": 1}' if method == "POST" else None
        response = await client.request(method, path, content=content, headers=headers)
    error = response.json().get("error") or {}
    return response.status_code, error.get("code", "")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "https://evil.example", "content-type": "text/plain"},
        {"origin": "null"},
        {"origin": "https://localhost.evil.example"},
        {"origin": "http://["},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
    ],
)
async def test_a_page_of_another_site_gets_nothing_done(
    house: House, headers: dict[str, str]
) -> None:
    assert await asked(house, headers) == (403, "foreign_origin")
    # What it asks for only to read it cannot, as nothing here allows it to.
    status, _ = await asked(house, headers, "GET")
    assert status == 200
    async with house.client() as client:
        answer = await client.get("/v1/models", headers=headers)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:3000", "http://app.localhost:3000", "http://127.0.0.1:8080",
        "http://[::1]", "app://obsidian.md",
        "vscode-webview://1a2b", "https://ours.example", "HTTPS://OURS.example",
    ],
)  # fmt: skip
async def test_a_page_of_this_machine_or_one_that_is_named_does(house: House, origin: str) -> None:
    assert await asked(house, {"origin": origin}) == (200, "")


@pytest.mark.parametrize("origin", ["https://ours.example", "http://localhost:3000"])
async def test_a_page_that_is_named_may_ask_what_it_may_and_read_the_answers(
    house: House, origin: str
) -> None:
    asks = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-os",
    }
    path = "/v1/autocomplete"
    async with house.client() as client:
        first = await client.request("OPTIONS", path, headers=asks)
        assert (first.status_code, first.content) == (204, b"")
        assert first.headers["access-control-allow-headers"] == "authorization, *"
        assert first.headers["access-control-allow-methods"] == "*"
        answers = [
            await client.post(path, json=BODY, headers={"origin": origin}),
            await client.post(path, json={**BODY, "stream": True}, headers={"origin": origin}),
            await client.post(path, content=b"{", headers={"origin": origin}),
            await client.post(path, json=BODY, headers=asks),
            await client.get("/v1/nothing", headers={"origin": origin}),
        ]
        assert [one.status_code for one in answers] == [200, 200, 400, 200, 404]
        for answer in (first, *answers):
            assert answer.headers["access-control-allow-origin"] == origin
            assert answer.headers["vary"] == "origin"
        asks["origin"] = "https://evil.example"
        other = await client.request("OPTIONS", path, headers=asks)
        assert other.status_code == 405
        assert "access-control-allow-origin" not in other.headers
        alone = await client.post(path, json=BODY)
        assert "access-control-allow-origin" not in alone.headers


async def test_our_own_page_does_by_whatever_name(house: House) -> None:
    own = {"host": "box.local:8080", "origin": "http://box.local:8080"}
    assert await asked(house, own | {"sec-fetch-site": "same-origin"}) == (200, "")
    assert await asked(house, own | {"origin": "http://box.local:8081"}) == (403, "foreign_origin")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example"])
async def test_nobody_elses_name_stands_for_this_server(
    house: House, method: str, host: str
) -> None:
    headers = {"host": host, "origin": f"http://{host}"}
    assert await asked(house, headers, method) == (421, "unknown_host")


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:80", "127.8.9.1:1", "[::1]:8080", "10.0.0.7", "ours.example:443", ""],
)
async def test_our_own_names_do(house: House, host: str) -> None:
    assert await asked(house, {"host": host}) == (200, "")


async def test_where_keys_are_asked_for_they_decide(house: House) -> None:
    key, record = make(bytes(32), "acme", (), now=0)
    access = house.service.access
    before, access.keyring = access.keyring, Keyring([record], bytes(32), required=True)
    try:
        headers = {"origin": "https://evil.example", "host": "evil.example"}
        assert (await asked(house, headers))[0] == 401
        assert (await asked(house, headers | {"authorization": f"Bearer {key}"}))[0] == 200
    finally:
        access.keyring = before
