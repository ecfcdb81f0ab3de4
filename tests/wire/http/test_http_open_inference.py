"""The Open Inference Protocol over HTTP: tensors that are nested as they should not be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.wire.http.http_house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = "/v2/models/interpreter/infer"


def asking(shape: list[int], data: list[Any]) -> dict[str, Any]:
    tensor = {"name": "text_input", "shape": shape, "datatype": "BYTES", "data": data}
    return {"inputs": [tensor], "parameters": {"source": "en", "target": "pt"}}


def nested(depth: int) -> list[Any]:
    inside: list[Any] = ["x"]
    for _ in range(depth):
        inside = [inside]
    return inside


async def test_texts_may_be_nested_as_their_shape_is(house: House) -> None:
    async with house.client() as client:
        for shape, data in (([2], ["a", "b"]), ([2, 1], [["a"], ["b"]]), ([2, 1], ["a", "b"])):
            response = await client.post(PATH, json=asking(shape, data))
            assert response.status_code == 200, response.text
            assert len(response.json()["outputs"][0]["data"]) == 2


@pytest.mark.parametrize("shape", [[20_001], [20_001] + [1] * 900])
async def test_a_text_nested_deeply_holds_nobody_up(house: House, shape: list[int]) -> None:
    body = asking(shape, [*["x"] * 20_000, nested(900)])
    body["inputs"] *= 5
    async with house.client() as client:
        began = asyncio.get_running_loop().time()
        response = await client.post(PATH, json=body)
        assert response.status_code == 400
        assert asyncio.get_running_loop().time() - began < 2


async def test_a_text_nested_deeper_than_its_shape_is_refused(house: House) -> None:
    async with house.client() as client:
        response = await client.post(PATH, json=asking([1], nested(1)))
    assert response.status_code == 400
    assert "holds what is no text" in response.json()["error"]
