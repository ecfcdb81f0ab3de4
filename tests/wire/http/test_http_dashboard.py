"""The page's files and its feed, as bytes; what Chromium makes of them is in tests/e2e."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING

import httpx
import msgspec
import pytest

from hexkey.vitals.monitor import Monitor
from hexkey.wire.http.dashboard import feed as feed_module
from hexkey.wire.http.dashboard.assets import assets
from hexkey.wire.http.dashboard.feed import Feed
from tests.wire.http.http_house import open_house

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.wire.http.http_house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

FEED = "/dashboard/feed"


def feed_of(house: House) -> Feed:
    return house.server._feed


async def unwatched(feed: Feed) -> bool:
    for _ in range(200):
        if not feed.looking:
            return True
        await asyncio.sleep(0.01)
    return False


async def told(response: httpx.Response) -> AsyncIterator[tuple[str, object]]:
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, msgspec.json.decode(line.removeprefix("data: "))


async def test_every_file_of_the_page_is_sent_framed_and_tagged(house: House) -> None:
    async with house.client() as client:
        page = await client.get("/dashboard")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert {"index.html", "js/main.js", "vendor/uplot-license.txt"} <= assets().keys()
        for path, asset in assets().items():
            answer = await client.get(f"/dashboard/{path}")
            assert answer.content == asset.plain
            assert answer.headers["content-encoding"] == "gzip"
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            again = await client.get(
                f"/dashboard/{path}", headers={"if-none-match": answer.headers["etag"]}
            )
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == answer.headers["etag"]
    assert page.content == assets()["index.html"].plain


async def test_who_cannot_unpack_gets_it_plain(house: House) -> None:
    async with house.client() as client:
        answer = await client.get("/dashboard", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in answer.headers
    assert answer.content == gzip.decompress(assets()["index.html"].packed)


@pytest.mark.parametrize(
    "path",
    ["no.js", "../assets.py", "%2e%2e/assets.py", "js/../../assets.py", "js", "/etc/passwd", ""],
)
async def test_no_path_leads_out_of_the_page(house: House, path: str) -> None:
    reader, writer = await house.connect()
    writer.write(
        f"GET /dashboard/{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode()
    )
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"PATH_NOT_FOUND".lower() in answer


async def test_the_feed_tells_history_and_then_the_present(house: House) -> None:
    async with house.client() as client:
        await client.post("/v1/autocomplete", json={"prefix": "x", "max_tokens": 2})
        for _ in range(2):
            async with client.stream("GET", FEED) as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                assert response.headers["cache-control"] == "no-cache"
                events = told(response)
                first, history = await anext(events)
                second, snapshot = await anext(events)
    assert (first, second) == ("history", "snapshot")
    assert isinstance(history, list)
    assert len(history) >= 1
    assert isinstance(snapshot, dict)
    assert snapshot["total"] >= 1
    assert {one["name"] for one in snapshot["models"]} == {
        one.name for one in house.service.pool.catalog
    }
    assert await unwatched(feed_of(house))


async def test_one_look_serves_all_and_nobody_is_looked_for_in_vain(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    look = Monitor.look

    def counted(self: Monitor) -> object:
        nonlocal looks
        looks += 1
        return look(self)

    monkeypatch.setattr(Monitor, "look", counted)
    monkeypatch.setattr(feed_module, "EVERY_S", 0.2)  # time enough for all to hear of each
    seen: list[object] = []

    async def watch(client: httpx.AsyncClient) -> None:
        async with client.stream("GET", FEED) as response:
            events = told(response)
            await anext(events)
            while len(seen) < 60:
                name, snapshot = await anext(events)
                assert name == "snapshot"
                seen.append(snapshot)

    async with house.client() as client:
        async with asyncio.TaskGroup() as group:
            for _ in range(12):
                group.create_task(watch(client))
        assert looks < len(seen) / 4
        assert await unwatched(feed_of(house))
        looks = 0
        await asyncio.sleep(0.5)
        assert looks == 0


async def test_viewers_are_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "MAX_VIEWERS", 1)
    async with house.client() as client, client.stream("GET", FEED) as response:
        await anext(told(response))
        refused = await client.get(FEED)
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "too_many_viewers"
    assert refused.headers["retry-after"]


async def test_a_look_that_fails_ends_the_pages_and_nothing_else(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Monitor) -> object:
        raise RuntimeError("broken")

    monkeypatch.setattr(Monitor, "look", broken)
    async with house.client() as client:
        answer = await client.get(FEED)
        assert answer.text.startswith("event: history")
        monkeypatch.undo()
        async with client.stream("GET", FEED) as response:
            events = told(response)
            assert (await anext(events))[0] == "history"
            assert (await anext(events))[0] == "snapshot"


async def test_no_look_under_way_takes_the_place_of_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "EVERY_S", 0.01)
    feed = Feed(house.service)
    mailbox: asyncio.Queue[bytes | None] = asyncio.Queue(1)
    feed._enter(mailbox, costs=True)
    assert await asyncio.wait_for(mailbox.get(), 10)
    feed.close()
    await asyncio.sleep(0.2)
    assert mailbox.get_nowait() is None
    assert not feed.looking


async def test_a_stop_does_not_wait_for_viewers() -> None:
    async with open_house() as house, house.client() as client:
        async with client.stream("GET", FEED) as response:
            events = told(response)
            await anext(events)
            loop = asyncio.get_running_loop()
            began = loop.time()
            stopping = asyncio.create_task(house.server.stop(30))
            assert {name async for name, _ in events} <= {"snapshot"}
            await stopping
            assert loop.time() - began < 10
        assert not feed_of(house).looking
