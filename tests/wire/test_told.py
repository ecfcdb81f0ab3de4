"""What answers tell of cost and timing, over both wires, line by line, and who is told."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import httpx
import pytest
import pytest_asyncio

from hexkey.config import CostConfig, ReferenceConfig
from hexkey.run import Run
from hexkey.v1 import inference_pb2 as pb
from tests.wire.grpc import grpc_house
from tests.wire.http import http_house

# 3600 an hour: one second of the machine costs 1.
PRICED = {
    "price_per_hour": "3600",
    "watts": "50",
    "references": (ReferenceConfig("big", date(2026, 11, 1), "1", "4"),),
}
PARTS = ("route", "queue", "prefill", "decode")
HEADERS = ("x-request-cost", "x-request-cost-currency", "x-litellm-response-cost", "server-timing")
CHAT = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/autocomplete": {"prefix": "Hello", "max_tokens": 5},
    "/v1/translate": {"text": ["one two", "three"], "source": "en", "target": "pt"},
    "/v1/chat/completions": {**CHAT, "stream_options": {"include_usage": True}},
    "/v1/completions": {
        "prompt": ["a", "b"],
        "max_tokens": 5,
        "stream_options": {"include_usage": True},
    },
}
ASK = pb.AutocompleteRequest(prefix="Hello", max_tokens=5)
pytestmark = pytest.mark.asyncio(loop_scope="module")


def config(expose: str, currency: str = "USD") -> CostConfig:
    return CostConfig(expose=expose, currency=currency, **PRICED)  # type: ignore[arg-type]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def web() -> AsyncIterator[httpx.AsyncClient]:
    async with http_house.open_house(cost=config("all")) as house, house.client() as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rpc() -> AsyncIterator[grpc_house.House]:
    async with grpc_house.open_house(("fast",), cost=config("all")) as house:
        yield house


def milliseconds(header: str) -> dict[str, float]:
    parts = re.findall(r"(\w+);dur=([\d.]+)", header)
    assert tuple(name for name, _ in parts) == PARTS
    return {name: float(value) for name, value in parts}


async def streamed(client: httpx.AsyncClient, path: str) -> tuple[httpx.Headers, dict[str, Any]]:
    """The headers of a stream, and the usage in its last event before the end mark."""
    body = {**BODIES[path], "stream": True}
    async with client.stream("POST", path, json=body) as answer:
        lines = [line async for line in answer.aiter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    last = json.loads(lines[-2].removeprefix("data: "))
    return answer.headers, last["usage"]


def is_whole(usage: dict[str, Any]) -> None:
    """Every line of cost-ledger.md, "In the answer", about ``usage``."""
    details = usage["cost_details"]
    assert usage["cost"] > 0
    assert set(details) == {
        "currency", "amount", "method", "device_seconds", "energy_joules", "counterfactual",
    }  # fmt: skip
    assert details["currency"] == "USD"
    assert re.fullmatch(r"\d+\.\d{12}", details["amount"])
    assert float(details["amount"]) == pytest.approx(usage["cost"])
    assert details["method"] == "shapley"
    assert details["device_seconds"] == pytest.approx(usage["cost"], rel=1e-3)
    assert details["energy_joules"] == pytest.approx(50 * usage["cost"], rel=1e-3)
    assert details["counterfactual"]["big"] > 0
    assert set(usage["timing"]) == {f"{part}_ms" for part in PARTS}
    assert usage["timing"]["prefill_ms"] > 0


@pytest.mark.parametrize("path", BODIES)
async def test_an_answer_tells_all(web: httpx.AsyncClient, path: str) -> None:
    body = {name: value for name, value in BODIES[path].items() if name != "stream_options"}
    answer = await web.post(path, json=body)
    usage = answer.json()["usage"]
    is_whole(usage)
    amount = usage["cost_details"]["amount"]
    assert answer.headers["x-request-cost"] == amount
    assert answer.headers["x-request-cost-currency"] == "USD"
    assert answer.headers["x-litellm-response-cost"] == amount
    parts = milliseconds(answer.headers["server-timing"])
    told = {f"{name}_ms": value for name, value in parts.items()}
    assert told == pytest.approx(usage["timing"], abs=0.01)
    assert sum(parts.values()) < 1000 * answer.elapsed.total_seconds()


@pytest.mark.parametrize("path", BODIES)
async def test_a_stream_tells_all_in_its_last_chunk(web: httpx.AsyncClient, path: str) -> None:
    headers, usage = await streamed(web, path)
    is_whole(usage)
    # What a stream costs is not known when its headers go out; how long it waited is.
    assert "x-request-cost" not in headers
    before, after = milliseconds(headers["server-timing"]), usage["timing"]
    for part in ("route", "queue", "prefill"):
        # Of several prompts the first is told of before, and the slowest after.
        assert path == "/v1/completions" or before[part] <= after[f"{part}_ms"] + 0.01
    assert after["decode_ms"] > 0


async def test_a_stream_without_usage_tells_nothing(web: httpx.AsyncClient) -> None:
    answer = await web.post("/v1/chat/completions", json={**CHAT, "stream": True})
    assert '"cost"' not in answer.text


async def test_trailing_metadata_tell_all(rpc: grpc_house.House) -> None:
    unary = rpc.stub.Autocomplete(ASK)
    usage = (await unary).usage
    stream = rpc.stub.StreamAutocomplete(ASK)
    messages = [message async for message in stream]
    for call, told in ((unary, usage), (stream, messages[-1].usage)):
        trailers = grpc_house.metadata_of(await call.trailing_metadata())
        cost = told.cost
        assert cost.cost_pico > 0
        assert trailers["x-request-cost-pico"] == str(cost.cost_pico)
        assert float(trailers["x-request-cost"]) == pytest.approx(cost.cost_pico / 1e12)
        assert trailers["x-request-cost-currency"] == cost.currency == "USD"
        assert cost.device_seconds == pytest.approx(cost.cost_pico / 1e12, rel=1e-3)
        assert cost.energy_joules > 0
        assert cost.counterfactual["big"] > 0
        assert milliseconds(trailers["server-timing"])["prefill"] > 0


@pytest.mark.parametrize("expose", ["none", "admin"])
async def test_who_may_not_see_is_told_nothing(expose: str) -> None:
    cost = config(expose)
    async with http_house.open_house(cost=cost) as house, house.client() as client:
        for path, full in BODIES.items():
            body = {name: one for name, one in full.items() if name != "stream_options"}
            answer = await client.post(path, json=body)
            headers, usage = await streamed(client, path)
            for one in (answer.headers, headers):
                assert not set(HEADERS) & set(one)
            for told in (answer.json()["usage"], usage):
                assert not {"cost", "cost_details", "timing"} & set(told)
    async with grpc_house.open_house(("fast",), cost=cost) as rpc:
        unary = rpc.stub.Autocomplete(ASK)
        assert not (await unary).usage.HasField("cost")
        stream = rpc.stub.StreamAutocomplete(ASK)
        assert not [one async for one in stream][-1].usage.HasField("cost")
        for call in (unary, stream):
            assert not set(HEADERS) & set(grpc_house.metadata_of(await call.trailing_metadata()))


async def test_other_currencies_are_no_dollars() -> None:
    cost = config("all", "EUR")
    async with http_house.open_house(cost=cost) as house, house.client() as client:
        answer = await client.post("/v1/autocomplete", json=BODIES["/v1/autocomplete"])
    assert answer.headers["x-request-cost-currency"] == "EUR"
    assert "x-litellm-response-cost" not in answer.headers


async def test_without_a_price_the_time_is_told() -> None:
    async with http_house.open_house() as house, house.client() as client:
        answer = await client.post("/v1/autocomplete", json=BODIES["/v1/autocomplete"])
    assert "x-request-cost" not in answer.headers
    assert milliseconds(answer.headers["server-timing"])["prefill"] > 0
    assert "cost" not in answer.json()["usage"]


async def test_an_administrator_is_told_where_others_are_not() -> None:
    cost = config("admin")
    path = "/v1/autocomplete"
    async with http_house.open_house(cost=cost) as house, house.client() as client:
        key = {"authorization": f"Bearer {house.service.access.keyring.admin_key}"}
        is_whole((await client.post(path, json=BODIES[path], headers=key)).json()["usage"])
        plain = await client.post(path, json=BODIES[path])
        assert "cost" not in plain.json()["usage"]
    async with grpc_house.open_house(("fast",), cost=cost) as rpc:
        key = {"authorization": f"Bearer {rpc.service.access.keyring.admin_key}"}
        call = rpc.stub.Autocomplete(ASK, metadata=tuple(key.items()))
        assert (await call).usage.cost.cost_pico > 0
        trailers = grpc_house.metadata_of(await call.trailing_metadata())
        assert {"x-request-cost-pico", "server-timing"} <= set(trailers)
        assert not (await rpc.stub.Autocomplete(ASK)).usage.HasField("cost")


async def test_a_plan_tells_what_it_will_take_to_those_who_may_see_costs() -> None:
    body = BODIES["/v1/autocomplete"]
    cheap = body | {"model": "coder", "constraints": {"max_cost": 0}}
    async with http_house.open_house(cost=config("admin")) as house, house.client() as client:
        for _ in range(12):
            await client.post("/v1/autocomplete", json=body)
        key = {"authorization": f"Bearer {house.service.access.keyring.admin_key}"}
        ask = {"task": "autocomplete", **body}
        seen = (await client.post("/v1/route", json=ask, headers=key)).json()
        assert seen["routes"][0]["expected"]["cost"] > 0
        assert any(one.get("expected") for one in seen["verdicts"])
        plain = (await client.post("/v1/route", json=ask)).json()
        assert [one["legs"] for one in plain["routes"]] == [one["legs"] for one in seen["routes"]]
        assert not any(one.get("expected") for one in (*plain["routes"], *plain["verdicts"]))
        # Nor how much others have there.
        numbers = ("in_flight", "waiting", "measured")
        assert {one[name] for one in plain["verdicts"] for name in numbers} == {None}
        assert seen["verdicts"][0]["measured"] >= 12
        refused = (await client.post("/v1/autocomplete", json=cheap)).json()["error"]["message"]
        assert "expected to cost more than 0" in refused
        assert not re.search(r"\d\.\d", refused)
    async with grpc_house.open_house(("fast",), cost=config("admin")) as rpc:
        for _ in range(12):
            await rpc.stub.Autocomplete(ASK)
        metadata = (("authorization", f"Bearer {rpc.service.access.keyring.admin_key}"),)
        wanted = pb.ExplainRouteRequest(autocomplete=ASK)
        plan = await rpc.stub.ExplainRoute(wanted, metadata=metadata)
        assert plan.routes[0].expected.cost_pico > 0
        plan = await rpc.stub.ExplainRoute(wanted)
        assert not any(one.HasField("expected") for one in (*plan.routes, *plan.verdicts))
        assert not any(one.HasField(name) for one in plan.verdicts for name in numbers)


async def looked(client: httpx.AsyncClient, headers: dict[str, str]) -> list[dict[str, Any]]:
    """The points of the page's history, and its first snapshot."""
    async with client.stream("GET", "/dashboard/feed", headers=headers) as answer:
        data = (
            json.loads(line.removeprefix("data: "))
            async for line in answer.aiter_lines()
            if line.startswith("data: ")
        )
        history = await anext(data)
        return [*history, await anext(data)]


async def test_the_page_shows_costs_to_those_who_may_see_them() -> None:
    async with http_house.open_house(cost=config("admin")) as house, house.client() as client:
        await client.post("/v1/autocomplete", json=BODIES["/v1/autocomplete"])
        key = {"authorization": f"Bearer {house.service.access.keyring.admin_key}"}
        async with client.stream("GET", "/dashboard/feed", headers=key):
            # Two who look at the same time are not told the same.
            *_, seen = await looked(client, key)
            *points, plain = await looked(client, {})
        assert seen["cost"]["bill"] > 0
        assert seen["point"]["spend"]
        assert [one["name"] for one in seen["cost"]["devices"]] == ["machine"]
        assert max(one["cost"] for one in seen["models"]) > 0
        assert plain["cost"] is None
        assert {one["cost"] for one in plain["models"]} == {None}
        assert plain["total"] == 1
        assert points
        assert not any(one["spend"] for one in (*points, plain["point"]))


async def test_the_page_shows_costs_to_nobody_where_nobody_may_see_them() -> None:
    async with http_house.open_house(cost=config("none")) as house, house.client() as client:
        key = {"authorization": f"Bearer {house.service.access.keyring.admin_key}"}
        *_, snapshot = await looked(client, key)
        assert snapshot["cost"] is None


EVERYWHERE: dict[str, dict[str, Any]] = {
    "/v1/embed": {"text": "a"},
    "/v1/rerank": {"query": "a", "documents": ["b"]},
    "/v1/classify": {"text": "a", "labels": ["b", "c"]},
    "/v1/transcribe": {"audio": "YWJj"},
    "/v1/summarize": {"text": "a b c"},
    "/v1/embeddings": {"model": "reader", "input": "a"},
    "/v2/rerank": {"model": "rerank", "query": "a", "documents": ["b"]},
    "/rerank": {"query": "a", "texts": ["b"]},
    "/embed": {"inputs": "a"},
    "/models/embed": {"inputs": "a"},
    "/v2/models/reader/infer": {
        "inputs": [{"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["a"]}]
    },
    "/v2/translate": {"text": ["a", "b"], "source_lang": "EN", "target_lang": "PT"},
    "/translate": {"q": "a", "source": "en", "target": "pt"},
}


PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


@pytest.mark.parametrize("path", EVERYWHERE)
async def test_every_api_tells_notes_timing_and_its_place_in_the_trace(
    web: httpx.AsyncClient, path: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "notes", property(lambda _run: ("as a note",)))
        patch.setattr(Run, "traceparent", property(lambda _run: PARENT))
        answer = await web.post(path, json=EVERYWHERE[path])
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-hexkey-note"] == "as a note"
    assert answer.headers["traceparent"] == PARENT
    assert milliseconds(answer.headers["server-timing"])
