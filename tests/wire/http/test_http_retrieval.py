"""embed, rerank and classify over HTTP, in hexkey's own shape and in those of others."""

from __future__ import annotations

import base64
import math
import struct
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.wire.http.http_house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

RANK = {"query": "red door", "documents": ["a blue wall", "the red door", "a red wall"]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.client() as opened:
        yield opened


async def post(client: httpx.AsyncClient, path: str, **body: object) -> Any:
    response = await client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def test_embed(client: httpx.AsyncClient) -> None:
    answer = await post(client, "/v1/embed", text=["a b", "c"], dimensions=4)
    assert answer["model"] == "reader"
    assert [one["index"] for one in answer["embeddings"]] == [0, 1]
    for one in answer["embeddings"]:
        assert len(one["values"]) == 4
        assert math.hypot(*one["values"]) == pytest.approx(1)
    assert answer["usage"].pop("timing")["prefill_ms"] > 0
    assert answer["usage"] == {
        "input_tokens": 3,
        "output_tokens": 0,
        "cached_tokens": 0,
        "input_characters": 5,
    }
    single = await post(client, "/v1/embed", text="a b", dimensions=4)
    assert single["embeddings"] == answer["embeddings"][:1]


async def test_rerank(client: httpx.AsyncClient) -> None:
    answer = await post(client, "/v1/rerank", **RANK)
    assert answer["results"] == [
        {"index": 1, "relevance_score": 1.0},
        {"index": 2, "relevance_score": 0.5},
        {"index": 0, "relevance_score": 0.0},
    ]
    wrapped = {**RANK, "documents": [{"text": text} for text in RANK["documents"]]}
    answer = await post(client, "/v1/rerank", **wrapped, top_n=1, return_documents=True)
    assert answer["results"] == [
        {"index": 1, "relevance_score": 1.0, "document": {"text": "the red door"}}
    ]


async def test_classify(client: httpx.AsyncClient) -> None:
    answer = await post(client, "/v1/classify", text=["a", "b"], labels=["x", "y", "z"])
    assert [one["index"] for one in answer["classifications"]] == [0, 1]
    for one in answer["classifications"]:
        scores = [label["score"] for label in one["scores"]]
        assert scores == sorted(scores, reverse=True)
        assert sum(scores) == pytest.approx(1)
        assert {label["label"] for label in one["scores"]} == {"x", "y", "z"}
    own = await post(client, "/v1/classify", text="a")
    assert {label["label"] for label in own["classifications"][0]["scores"]} == {"short", "long"}


async def test_openai_embeddings_as_numbers_and_packed(client: httpx.AsyncClient) -> None:
    plain = await post(client, "/v1/embeddings", input=["a", "b"], model="auto")
    assert plain["object"] == "list"
    assert [one["index"] for one in plain["data"]] == [0, 1]
    assert plain["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    packed = await post(client, "/v1/embeddings", input=["a", "b"], encoding_format="base64")
    for one, other in zip(plain["data"], packed["data"], strict=True):
        data = base64.b64decode(other["embedding"])
        assert list(struct.unpack("<8f", data)) == pytest.approx(one["embedding"], abs=1e-7)


@pytest.mark.parametrize(
    ("given", "count"), [("a", 1), (["a", "b"], 2), ([1, 2, 3], 1), ([[1, 2], [3]], 2)]
)
async def test_openai_embeddings_of_every_kind_of_input(
    client: httpx.AsyncClient, given: object, count: int
) -> None:
    assert len((await post(client, "/v1/embeddings", input=given))["data"]) == count


async def test_cohere_rerank(client: httpx.AsyncClient) -> None:
    answer = await post(client, "/v2/rerank", model="auto", top_n=2, **RANK)
    assert [one["index"] for one in answer["results"]] == [1, 2]
    assert answer["meta"]["api_version"]["version"] == "2"


async def test_tei(client: httpx.AsyncClient) -> None:
    assert len(await post(client, "/embed", inputs="a")) == 1
    vectors = await post(client, "/embed", inputs=["a", "b"], truncate=True, normalize=True)
    assert [len(one) for one in vectors] == [8, 8]
    body = {"query": RANK["query"], "texts": RANK["documents"]}
    ranks = await post(client, "/rerank", **body, return_text=True)
    assert ranks[0] == {"index": 1, "score": 1.0, "text": "the red door"}
    assert [one["index"] for one in ranks] == [1, 2, 0]
    assert "results" in await post(client, "/rerank", **RANK)


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/v1/embed", {"text": []}, 400, {"error": {"param": "text"}}),
        ("/v1/embed", {"text": "a", "dimensions": 9}, 400, {"error": {"param": "dimensions"}}),
        ("/v1/embed", {"text": "a", "model": "coder"}, 400, {"error": {"param": "model"}}),
        ("/v1/embeddings", {"input": []}, 400, {"error": {"param": "input"}}),
        ("/v1/embeddings", {"input": ""}, 400, {"error": {"param": "input"}}),
        ("/v1/embeddings", {"input": ["a", [1]]}, 400, {"error": {"param": "input"}}),
        ("/v1/embeddings", {"input": ["a", 1]}, 400, {"error": {"param": "input"}}),
        (
            "/v1/embeddings",
            {"input": "a", "encoding_format": "hex"},
            400,
            {"error": {"param": "encoding_format"}},
        ),
        ("/v1/rerank", {**RANK, "query": ""}, 400, {"error": {"param": "query"}}),
        ("/v1/rerank", {**RANK, "top_n": -1}, 400, {"error": {"param": "top_n"}}),
        ("/v1/classify", {"text": "a", "labels": ["b", "b"]}, 400, {"error": {"param": "labels"}}),
        ("/v2/rerank", {**RANK, "model": "nobody"}, 404, {"message": None}),
        ("/embed", {"inputs": ""}, 400, {"error": None, "error_type": "Validation"}),
        ("/rerank", {"query": "a"}, 400, {"error": None, "error_type": "Validation"}),
    ],
)
async def test_mistakes_are_told_as_the_family_tells_them(
    client: httpx.AsyncClient, path: str, body: object, status: int, told: dict[str, Any]
) -> None:
    response = await client.post(path, json=body)
    assert response.status_code == status
    answer = response.json()
    assert set(answer) == set(told)
    for name, value in told.items():
        if isinstance(value, dict):
            assert answer[name].items() >= value.items()
        elif value is not None:
            assert answer[name] == value


@pytest.mark.parametrize(
    ("task", "body"),
    [
        ("embed", {"text": "a"}),
        ("rerank", RANK),
        ("classify", {"text": "a", "labels": ["b"]}),
        ("transcribe", {"audio": "UklGRg=="}),
        ("summarize", {"text": "a"}),
    ],
)
async def test_route_explains_each(client: httpx.AsyncClient, task: str, body: Any) -> None:
    answer = await post(client, "/v1/route", task=task, **body)
    assert answer["model"] == {"summarize": "coder", "transcribe": "listener"}.get(task, "reader")
