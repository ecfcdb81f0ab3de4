"""transcribe and summarize over HTTP: JSON, forms, streams, and what a form must not hold."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from hexkey.wire.http.multipart import MAX_PARTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.wire.http.http_house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/v1/audio/transcriptions"
SAID = "w0 w1 w2 w3 w4 w5 w6 w7"
AUDIO = bytes(32_000)  # a second, as the fake engine counts
FILE = ("speech.wav", AUDIO, "audio/wav")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.client() as opened:
        yield opened


def events(response: httpx.Response) -> list[Any]:
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = [block.removeprefix("data: ") for block in response.text.split("\n\n")[:-1]]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


async def test_transcribe(client: httpx.AsyncClient) -> None:
    body = {"audio": base64.b64encode(AUDIO).decode(), "timestamps": True, "language": "en"}
    answer = (await client.post("/v1/transcribe", json=body)).json()
    assert (answer["model"], answer["text"]) == ("listener", SAID)
    assert answer["usage"]["audio_seconds"] == 1
    assert answer["segments"] == [
        {"start_seconds": 0.0, "end_seconds": 1.0, "text": SAID, "language": "en"}
    ]
    stream = await client.post("/v1/transcribe", json={**body, "stream": True})
    start, *deltas, segment, finish, usage = events(stream)
    assert start["start"]["model"] == "listener"
    assert "".join(one["delta"]["text"] for one in deltas).strip() == SAID
    assert segment["segment"]["end_seconds"] == 1
    assert finish == {"finish": {"index": 0, "reason": "stop"}}
    assert usage["usage"]["audio_seconds"] == 1


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("text", f"{SAID}\n"),
        ("srt", f"1\n00:00:00,000 --> 00:00:01,000\n{SAID}\n\n"),
        ("vtt", f"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{SAID}\n\n"),
    ],
)
async def test_openai_transcription_in_plain_text(
    client: httpx.AsyncClient, kind: str, expected: str
) -> None:
    response = await client.post(PATH, files={"file": FILE}, data={"response_format": kind})
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text == expected


async def test_openai_transcription_in_json(client: httpx.AsyncClient) -> None:
    data = {"model": "auto", "language": "en", "prompt": "p"}
    answer = (await client.post(PATH, files={"file": FILE}, data=data)).json()
    assert answer == {"text": SAID, "usage": {"seconds": 1, "type": "duration"}}
    more = {"response_format": "verbose_json", "timestamp_granularities[]": ["segment"]}
    answer = (await client.post(PATH, files={"file": FILE}, data={**data, **more})).json()
    assert (answer["duration"], answer["language"]) == (1, "en")
    assert answer["segments"] == [{"id": 0, "start": 0.0, "end": 1.0, "text": SAID}]


async def test_openai_transcription_as_a_stream(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH, files={"file": FILE}, data={"stream": "true"})
    *deltas, done = events(response)
    assert {one["type"] for one in deltas} == {"transcript.text.delta"}
    assert "".join(one["delta"] for one in deltas).strip() == SAID
    assert (done["type"], done["text"]) == ("transcript.text.done", SAID)


def form(*parts: bytes, end: bytes = b"--x--\r\n") -> bytes:
    return b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + end


def part(name: str, data: bytes = b"a", more: str = "") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + data


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "form is damaged"),
        (form(part("model")), "required field `file`"),
        (form(part("file"), end=b""), "form is damaged"),
        (form(part("file"), end=b"--y--"), "form is damaged"),
        (form(*[part("file")] * (MAX_PARTS + 1)), "more than 64 parts"),
        (form(part("file", more="; filename=" + "a" * 2000)), "form is damaged"),
        (form(b"A: b\r\n" * 9 + part("file")), "form is damaged"),
        (form(b"\r\na"), "no name"),
        (form(part("file"), part("model", b"\xff")), "not UTF-8"),
        (form(part("file", b"")), "audio is empty"),
        (form(part("file"), part("response_format", b"xml")), "response_format"),
        (form(part("file"), part("timestamp_granularities[]", b"word")), "not words"),
        (form(part("file"), part("model", b"nobody")), "no model 'nobody'"),
    ],
)
async def test_a_form_that_cannot_be_taken_is_refused(
    client: httpx.AsyncClient, body: bytes, message: str
) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    response = await client.post(PATH, content=body, headers=headers)
    assert response.status_code in {400, 404}
    assert message in response.json()["error"]["message"]


async def test_a_body_that_is_no_form_is_refused(client: httpx.AsyncClient) -> None:
    for headers in ({}, {"content-type": "multipart/form-data"}):
        response = await client.post(PATH, content=b"a", headers=headers)
        assert response.status_code == 400
        assert "multipart/form-data" in response.json()["error"]["message"]


async def test_summarize(client: httpx.AsyncClient) -> None:
    body = {"text": "A long story.", "length": "short", "max_tokens": 3, "n": 2}
    answer = (await client.post("/v1/summarize", json=body)).json()
    assert answer["model"] == "coder"
    assert answer["summaries"] == [{"text": "w0 w1 w2 ", "finish_reason": "length"}] * 2
    stream = await client.post(
        "/v1/summarize", json={"text": "A.", "max_tokens": 2, "stream": True}
    )
    start, *rest = events(stream)
    assert start["start"]["model"] == "coder"
    assert "usage" in rest[-1]
    response = await client.post("/v1/summarize", json={"text": " "})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "text")


async def test_hugging_face_sends_audio_as_the_body_or_in_json(client: httpx.AsyncClient) -> None:
    raw = await client.post("/models/listener", content=AUDIO, headers={"content-type": "audio/x"})
    packed = await client.post(
        "/models/listener", json={"inputs": base64.b64encode(AUDIO).decode()}
    )
    assert raw.json() == packed.json() == {"text": SAID}
    for inputs in ("no base64!", ["a"]):
        response = await client.post("/models/listener", json={"inputs": inputs})
        assert response.status_code == 400
        assert "base64" in response.json()["error"]
