"""Bodies that are nearly right: each is refused with a reason, none is a failure of ours."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

import pytest

from hexkey.engines.fake import CONTEXT_TOKENS
from hexkey.validation import Limits

if TYPE_CHECKING:
    from tests.wire.http.http_house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")
LONG = "a " * (CONTEXT_TOKENS + 1)
GLOSSARY = {"name": "mine", "source_lang": "EN", "target_lang": "PT", "entries_format": "csv"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"entries": "a," + "b" * 200_000}, "is not CSV"),
        ({"entries": "a,b\r\nc"}, "line 2 is no term"),
        ({"entries": "x" * (Limits().max_characters + 1)}, "at most 400000 characters"),
        ({"entries": "a," + "b" * 300}, "at most 200 characters"),
        ({"entries": "a,b", "target_lang": "english"}, "language code"),
        ({"entries": "a,b", "target_lang": "P\r\n"}, "language code"),
    ],
)
async def test_a_glossary_that_is_none(house: House, change: dict[str, str], why: str) -> None:
    async with house.client() as client:
        response = await client.post("/v2/glossaries", json=GLOSSARY | change)
    assert response.status_code == 400
    assert why in response.json()["message"]


async def test_lines_may_end_as_they_did_on_old_machines(house: House) -> None:
    async with house.client() as client:
        for entries in ("a,b\rc,d", 'a,b\r\nc,"d\ne"', "a,b\nc,d"):
            response = await client.post("/v2/glossaries", json=GLOSSARY | {"entries": entries})
            assert response.status_code == 201, response.text
            assert response.json()["entry_count"] == 2


async def test_a_form_that_gives_a_field_as_one_and_as_several(house: House) -> None:
    parts: list[tuple[str, Any]] = [
        ("file", ("a.wav", b"x")), ("model", (None, "listener")), ("model[]", (None, "listener")),
    ]  # fmt: skip
    async with house.client() as client:
        response = await client.post("/v1/audio/transcriptions", files=parts)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "model"


@pytest.mark.parametrize("name", ["source", "target"])
@pytest.mark.parametrize("code", ["pt-\r\nx: y", "pt\0", "pt BR", "p" * 36, "\u00e9n"])
async def test_a_language_that_is_none(house: House, name: str, code: str) -> None:
    body = {"text": "x", "source": "en", "target": "pt", name: code}
    async with house.client() as client:
        response = await client.post("/v1/translate", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == name


async def test_a_budget_that_a_program_computed(house: House) -> None:
    for cost in (0.1 + 0.2, 0.1 * 0.0003, 5e-324, 0):
        body = {"prefix": "x", "max_tokens": 1, "constraints": {"max_cost": cost}}
        async with house.client() as client:
            assert (await client.post("/v1/autocomplete", json=body)).status_code == 200


@pytest.mark.parametrize("path", ["/", "/models/coder", "/models/summarize"])
@pytest.mark.parametrize("inputs", [["a", "b"], []])
async def test_several_texts_where_one_is_taken(house: House, path: str, inputs: list[str]) -> None:
    async with house.client() as client:
        response = await client.post(path, json={"inputs": inputs})
        assert response.status_code == 400
        assert "send one text" in response.json()["error"]
        assert (await client.post(path, json={"inputs": ["a"]})).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", b'{"prompt": "a", "max_tokens": 2.0, "n": 1.0, "seed": 1e3}'),
        ("/v1/completions", b'{"prompt": [1.0, 2.0], "max_tokens": 2, "temperature": 0.5}'),
        (
            "/v1/chat/completions",
            b'{"messages": [{"role": "user", "content": "a"}], "max_tokens": 2.0, "tools": []}',
        ),
    ],
)
async def test_a_whole_number_may_have_a_point(house: House, path: str, body: bytes) -> None:
    async with house.client() as client:
        response = await client.post(path, content=body)
    assert response.status_code == 200, response.text
    assert response.json()["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize("number", [b"4.5", b"-2.0", b"1e300", b"1e999", b"5e-1"])
async def test_a_number_that_is_not_whole(house: House, number: bytes) -> None:
    async with house.client() as client:
        response = await client.post(
            "/v1/completions", content=b'{"prompt": "a", "max_tokens": %b}' % number
        )
        assert response.status_code == 400
        assert response.json()["error"]["param"] == "max_tokens"
        asked = b'{"messages": [], "max_tokens": 2.0, "tools": [{"a": 1.0}], "temperature": "x"}'
        response = await client.post("/v1/chat/completions", content=asked)
        assert response.status_code == 400
        assert response.json()["error"]["param"] == "temperature", "what does not fit, and no other"
        asked = b'{"prompt": "a", "max_tokens": 2.0, "temperature": 1e999}'
        response = await client.post("/v1/completions", content=asked)
    assert response.status_code == 400
    assert "out of range" in response.json()["error"]["message"]


@pytest.mark.parametrize("rest", [b"tru", b'"\xff"', b"[" * 100_000, b'"y"} x'])
async def test_a_whole_number_with_a_point_hides_nothing_behind_it(
    house: House, rest: bytes
) -> None:
    async with house.client() as client:
        body = b'{"prompt": "a", "max_tokens": 4.0, "x": %b' % rest
        response = await client.post("/v1/completions", content=body)
    assert response.status_code == 400


async def test_a_byte_order_mark_is_no_part_of_the_body(house: House) -> None:
    text = '{"prompt": "a", "max_tokens": 2}'
    async with house.client() as client:
        response = await client.post("/v1/completions", content=text.encode("utf-8-sig"))
        assert response.status_code == 200, response.text
        form = {"content-type": "application/x-www-form-urlencoded"}
        asked = '{"q": "a", "source": "en", "target": "pt"}'.encode("utf-8-sig")
        response = await client.post("/translate", content=asked, headers=form)
        assert response.status_code == 200, response.text
        response = await client.post("/v1/completions", content=text.encode("utf-16"))
        assert response.status_code == 400
        assert response.json()["error"]["message"] == "the body is UTF-16; send it as UTF-8"
        for marks, said in ((1, "empty"), (2, "not JSON"), (1_000_000, "not JSON")):
            response = await client.post("/v1/completions", content=codecs.BOM_UTF8 * marks)
            assert response.status_code == 400
            assert f"the body is {said}" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/autocomplete", {"prefix": LONG}, "prefix"),
        ("/v1/completions", {"prompt": LONG}, "prompt"),
        ("/v1/completions", {"prompt": [[1], [-1]]}, "prompt"),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": LONG}]}, "messages"),
    ],
)
async def test_what_is_too_long_is_named_as_its_caller_wrote_it(
    house: House, path: str, body: dict[str, Any], param: str
) -> None:
    async with house.client() as client:
        response = await client.post(path, json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"].partition("[")[0] == param
