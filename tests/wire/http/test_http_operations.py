from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING
from unittest.mock import AsyncMock

import pytest

from hexkey import __version__
from hexkey.engines.link import Link
from tests.wire.http.http_house import open_house

if TYPE_CHECKING:
    from tests.wire.http.http_house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_front_door_leads_everywhere(house: House) -> None:
    async with house.client() as client:
        answer = (await client.get("/")).json()
        for link in answer["links"].values():
            assert (await client.get(link)).status_code in {200, 405}


async def test_a_person_finds_a_page_at_the_front_door(house: House) -> None:
    accept = "text/html,application/xhtml+xml,*/*;q=0.8"
    async with house.client() as client:
        page = await client.get("/", headers={"accept": accept})
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["vary"] == "accept"
        assert "interpreter" in page.text
        links = re.findall(r'href="([^"]+)"', page.text)
        assert {"/openapi.json", "/health"} <= set(links)
        for link in links:
            assert (await client.get(link)).status_code == 200
        evil = await client.get("/", headers={"accept": accept, "host": '"><script>.local'})
    assert "script" in evil.text
    assert "<script>" not in evil.text


async def test_health_version_ready(house: House) -> None:
    async with house.client() as client:
        assert (await client.get("/health")).json() == {"status": "ok"}
        assert (await client.get("/version")).json() == {"version": __version__}
        response = await client.get("/ready")
        assert response.status_code == 200
        names = ("coder", "acme/slow", "interpreter", "reader", "listener")
        states = dict.fromkeys(names, "ready")
        assert response.json() == {"ready": True, "models": states}
        assert (await client.head("/health")).status_code == 200


async def test_not_ready() -> None:
    async with open_house() as house, house.client() as client:
        await house.service.pool._member("coder").supervisor.stop()
        response = await client.get("/ready")
        assert response.status_code == 503
        assert response.json()["models"]["coder"] == "stopped"
        assert (await client.get("/health")).status_code == 200


async def test_a_server_that_stops_is_not_ready_though_its_models_are(house: House) -> None:
    async with house.client() as client:
        house.service.stopping = True
        try:
            response = await client.get("/ready")
        finally:
            house.service.stopping = False
    assert response.status_code == 503
    assert set(response.json()["models"].values()) == {"ready"}


async def test_metrics(house: House) -> None:
    async with house.client() as client:
        await client.post("/v1/autocomplete", json={"prefix": "x", "max_tokens": 1})
        response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    line = 'hexkey_requests_total{model="coder",outcome="ok",protocol="http",task="autocomplete"}'
    assert line in response.text


async def test_metrics_as_openmetrics(house: House) -> None:
    async with house.client() as client:
        await client.post("/v1/autocomplete", json={"prefix": "x", "max_tokens": 1})
        accept = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
        response = await client.get("/metrics", headers=accept)
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("\n# EOF\n")
    assert "# TYPE hexkey_requests counter\n" in response.text


async def test_an_engines_own_metrics_are_passed_on_raw(house: House) -> None:
    async with house.client() as client:
        await client.post("/v1/autocomplete", json={"model": "acme/slow", "prefix": "x"})
        answers = [client.get("/metrics/engines/acme/slow") for _ in range(5)]
        for response in await asyncio.gather(*answers):
            assert response.headers["content-type"].startswith("text/plain")
            name, count = response.text.splitlines()[-1].split()
            assert name == "fake:steps_total"
            assert int(count) > 200
        response = await client.get("/metrics/engines/none")
    assert response.status_code == 404
    assert "there is: coder, acme/slow, interpreter" in response.text


async def test_metrics_of_an_engine_that_is_away_or_keeps_none() -> None:
    async with open_house() as house, house.client() as client:
        supervisor = house.service.pool._rack.members["coder"].supervisor
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Link, "exposition", AsyncMock(return_value=b""))
            response = await client.get("/metrics/engines/coder")
            assert response.status_code == 404
            assert "fake keeps no metrics" in response.text
        await supervisor.stop()
        assert (await client.get("/metrics/engines/coder")).status_code == 503


async def test_models_say_what_they_do(house: House) -> None:
    async with house.client() as client:
        model = (await client.get("/v1/models/interpreter")).json()
    assert model["tasks"] == ["translate"]
    assert {"source": "en", "target": "pt"} in model["pairs"]
    assert model["state"] == "ready"
    assert model["context_tokens"] == 8192
