from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gzip
import json
import statistics
import time
import zlib
from typing import TYPE_CHECKING, NamedTuple, cast

import psutil
import pytest
import pytest_asyncio

from hexkey.wire.http.limits import HttpLimits
from tests.unit.test_metering import value
from tests.wire.http.http_house import House, open_house, post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")
LIMITS = HttpLimits(
    max_connections=20,
    header_s=0.3,
    body_first_s=0.3,
    body_total_s=0.8,
    body_min_rate=100.0,
    quiet_s=0.1,
    write_stall_s=0.5,
    keep_alive_s=1,
)
TICK_S = 0.01
BODY = b'{"prefix":"x","max_tokens":2}'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict() -> AsyncIterator[House]:
    async with open_house(LIMITS) as opened:
        yield opened


class Reply(NamedTuple):
    """What came back until the end, how long that took, and how many pieces were sent by then.

    ``took_s`` leaves out the time in which our own loop, which is the server's too, stood still.
    """

    data: bytes
    took_s: float
    sent: int


async def answer(house: House, *pieces: bytes, every_s: float = 0.0) -> Reply:
    """Send pieces with pauses until the server closes.

    Whoever still sends then gets a reset, sooner or later.
    """
    began = time.monotonic()
    reader, writer = await house.connect()
    data, sent, stood_s = b"", 0, 0.0

    async def send() -> None:
        nonlocal sent
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            sent += 1
            await asyncio.sleep(every_s)

    async def tick() -> None:
        nonlocal stood_s
        while True:
            before = time.monotonic()
            await asyncio.sleep(TICK_S)
            stood_s += max(0.0, time.monotonic() - before - 2 * TICK_S)

    helpers = [asyncio.create_task(send()), asyncio.create_task(tick())]
    with contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(10):
            while part := await reader.read(4096):
                data += part
    took_s = time.monotonic() - began - stood_s
    for helper in helpers:
        helper.cancel()
    await asyncio.gather(*helpers, return_exceptions=True)
    writer.close()
    return Reply(data, took_s, sent)


def status(data: bytes) -> int:
    return int(data.split(b" ", 2)[1])


async def test_a_silent_connection_is_closed(strict: House) -> None:
    data, took_s, _ = await answer(strict)
    assert data == b""
    assert took_s < LIMITS.header_s + 1


async def test_a_header_dribbler_is_cut_off(strict: House) -> None:
    pieces = [bytes([byte]) for byte in post("/v1/autocomplete", BODY, "X: " + "y" * 200)]
    data, _, sent = await answer(strict, *pieces, every_s=0.02)
    assert status(data) == 408
    assert sent <= 40 < len(pieces) / 5, "15 fit into the time there is"


async def test_a_dribbler_on_a_kept_connection_is_cut_off(strict: House) -> None:
    first = post("/v1/autocomplete", BODY)
    data, _, sent = await answer(strict, first, *([b"GET /"] + [b"a"] * 100), every_s=0.05)
    assert status(data) == 200
    assert b"HTTP/1.1 408" in data
    assert sent <= 20, "6 fit into the time there is"


async def test_empty_lines_do_not_hold_a_kept_connection(strict: House) -> None:
    data, took_s, _ = await answer(strict, post("/v1/autocomplete", BODY), b"\r\n", every_s=0.1)
    assert status(data) == 200
    assert took_s < LIMITS.keep_alive_s + 1


async def test_a_kept_connection_is_closed_when_idle(strict: House) -> None:
    began = time.monotonic()
    data, took_s, _ = await answer(strict, post("/v1/autocomplete", BODY))
    assert status(data) == 200
    # While its loop stands still the server's clock goes on.
    assert LIMITS.keep_alive_s - 0.1 < time.monotonic() - began
    assert took_s < LIMITS.keep_alive_s + 1


async def test_a_body_that_never_comes(strict: House) -> None:
    data, took_s, _ = await answer(strict, post("/v1/autocomplete", BODY)[: -len(BODY)])
    assert status(data) == 408
    assert took_s < LIMITS.body_first_s + 1


async def test_a_body_dribbler_is_cut_off(strict: House) -> None:
    head = post("/v1/autocomplete", b"x" * 1000)[:-1000]
    data, _, sent = await answer(strict, head, *([b"x"] * 100), every_s=0.02)
    assert status(data) == 408
    assert sent <= 60, "40 fit into the time there is"
    assert json.loads(data.split(b"\r\n\r\n")[1])["error"]["code"] == "body_timeout"


async def test_dribblers_do_not_slow_others() -> None:
    head = post("/v1/autocomplete", b"x" * 1000)[:-1000]
    limits = dataclasses.replace(LIMITS, max_connections=200, header_s=0.8)
    took = []
    async with open_house(limits) as house, house.client() as client:
        files = psutil.Process().num_fds()
        slow = [
            asyncio.create_task(answer(house, first, *([b"x"] * 100), every_s=0.1))
            for first in (head, b"GET /")
            for _ in range(60)
        ]
        while not all(task.done() for task in slow):
            response = await client.post("/v1/autocomplete", content=BODY)
            assert response.status_code == 200
            took.append(response.elapsed.total_seconds())
        await client.aclose()
        async with asyncio.timeout(20):
            while psutil.Process().num_fds() > files:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.02)
    assert {status(task.result().data) for task in slow} == {408}
    assert statistics.median(took) < 0.5


@pytest.mark.parametrize("size", [70_000, 1_000_000])
@pytest.mark.parametrize("where", ["one", "many", "url"])
async def test_huge_headers(strict: House, size: int, where: str) -> None:
    if where == "one":
        data = post("/v1/autocomplete", BODY, "X: " + "y" * size)
    elif where == "many":
        data = post(
            "/v1/autocomplete", BODY, *(f"X-{i}: {'y' * 1000}" for i in range(size // 1000))
        )
    else:
        data = post("/v1/autocomplete?" + "y" * size, BODY)
    reader, writer = await strict.connect()
    writer.write(data)
    assert status(await reader.readuntil(b"\r\n")) == 431
    writer.close()


def chunked(*trailers: bytes) -> bytes:
    """A raw POST in one chunk, and what comes after it."""
    head = post("/v1/autocomplete", b"").replace(
        b"Content-Length: 0", b"Transfer-Encoding: chunked"
    )
    return b"\r\n".join([head + b"%x" % len(BODY), BODY, b"0", *trailers])


async def test_trailers_are_no_headers(strict: House) -> None:
    trailers = b"X-Request-Id: trailed", b"X-Hexkey-Priority: none", b"", b""
    data, _, _ = await answer(strict, chunked(*trailers))
    assert status(data) == 200
    assert b"trailed" not in data


@pytest.mark.parametrize("piece", [b"a: b\r\n" * 10_000, b"y" * 60_000])
async def test_endless_trailers_are_refused(strict: House, piece: bytes) -> None:
    data, took_s, _ = await answer(strict, chunked(b"x: "), *([piece] * 20), every_s=0.001)
    assert status(data) == 431
    assert took_s < 5


async def test_chunks_of_any_size_are_no_trailers(strict: House) -> None:
    text = b"x" * 100_000
    body = b'{"max_tokens":1,"prefix":"' + text + b'"}'
    head = post("/v1/autocomplete", b"").replace(
        b"Content-Length: 0", b"Transfer-Encoding: chunked"
    )
    # Pieces end where a chunk's data would begin.
    sizes = [b"%x\r\n" % len(one) for one in (text, body[len(text) :])]
    pieces = [head + sizes[0], body[: len(text)] + b"\r\n" + sizes[1]]
    pieces.append(body[len(text) :] + b"\r\n0\r\n\r\n")
    data, _, _ = await answer(strict, *pieces, every_s=0.02)
    assert status(data) == 200


async def test_large_headers_within_the_cap(strict: House) -> None:
    async with strict.client() as client:
        response = await client.get("/health", headers={"x": "y" * 60_000})
    assert response.status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_10_mb_body_gets_a_clear_error(house: House, chunked: bool) -> None:  # noqa: FBT001
    body = json.dumps({"prefix": "x" * 10_000_000}).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    async with house.client() as client:
        response = await client.post("/v1/autocomplete", content=pieces() if chunked else body)
        assert response.status_code == 413
        assert "8388608 bytes" in response.json()["error"]["message"]


async def test_a_large_body_is_refused_before_it_is_sent_where_the_client_asks(
    house: House,
) -> None:
    head = post("/v1/autocomplete", b"", "Expect: 100-continue").replace(b": 0", b": 99999999")
    data, took_s, _ = await answer(house, head)
    assert status(data) == 413
    assert took_s < 1


async def test_expect_100_continue(strict: House) -> None:
    data = post("/v1/autocomplete", BODY, "Expect: 100-continue", "Connection: close")
    received, _, _ = await answer(strict, data[: -len(BODY)], data[-len(BODY) :], every_s=0.1)
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


async def test_compressed_bodies_are_refused(strict: House) -> None:
    async with strict.client() as client:
        response = await client.post(
            "/v1/autocomplete", content=b"\x1f\x8b", headers={"content-encoding": "gzip"}
        )
    assert response.status_code == 415


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (gzip.compress(b'{"inputs": []}'), 400, "'text_input' is missing"),
        (zlib.compress(b'{"inputs": []}'), 400, "'text_input' is missing"),
        (gzip.compress(b'{"inputs": []}')[:-4], 400, "is cut"),
        (gzip.compress(b'{"inputs": []}') + b"more", 400, "behind it"),
        (b"plain", 400, "not compressed as"),
        # 64 MiB of nothing in 64 KiB.
        (gzip.compress(bytes(64 << 20)), 413, "holds more than the"),
    ],
)
async def test_open_inference_may_compress_what_is_not_too_large(
    house: House, data: bytes, status: int, message: str
) -> None:
    async with house.client() as client:
        response = await client.post(
            "/v2/models/embed/infer", content=data, headers={"content-encoding": "gzip"}
        )
    assert response.status_code == status
    assert message in response.json()["error"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        "GET /é HTTP/1.1\r\nHost: t\r\n\r\n".encode(),
        b"POST /v1/autocomplete HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/autocomplete HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST /v1/autocomplete HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
    ],
)
async def test_what_is_not_http(strict: House, data: bytes) -> None:
    received, took_s, _ = await answer(strict, data)
    assert status(received) in {400, 408}
    assert b"Traceback" not in received
    assert took_s < LIMITS.header_s + 1


async def test_an_upgrade_is_ignored_and_its_request_served(strict: House) -> None:
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAA")
    received, _, _ = await answer(strict, post("/v1/autocomplete", BODY, *upgrade))
    assert status(received) == 200
    assert b'"choices"' in received


async def test_a_client_of_http_1_0_gets_no_chunks(strict: House) -> None:
    body = b'{"prompt":"x","max_tokens":3,"stream":true}'
    for more in (b"", b"connection: upgrade\r\nupgrade: h2c\r\n"):
        head = b"POST /v1/completions HTTP/1.0\r\n%bcontent-length: %d\r\n\r\n" % (more, len(body))
        reply = await answer(strict, head + body)
        told, _, events = reply.data.partition(b"\r\n\r\n")
        assert status(reply.data) == 200
        assert b"transfer-encoding" not in told.lower()
        assert b"connection: close" in told.lower()
        lines = [line for line in events.split(b"\n") if line]
        assert all(line.startswith(b"data: ") for line in lines)
        assert lines[-1] == b"data: [DONE]"
    for method, size in ((b"GET", True), (b"HEAD", False)):
        reply = await answer(strict, method + b" /health HTTP/1.0\r\n\r\n")
        told, _, text = reply.data.partition(b"\r\n\r\n")
        assert (status(reply.data), bool(text)) == (200, size)
        assert b"content-length: 15" in told


async def test_pipelined_requests(strict: House) -> None:
    last = post("/v1/autocomplete", BODY, "Connection: close")
    received, _, _ = await answer(strict, post("/v1/autocomplete", BODY) * 3 + last)
    assert received.count(b"HTTP/1.1 200 OK") == 4


async def test_too_many_connections() -> None:
    # Whoever says nothing keeps its place for as long as the test takes.
    async with open_house(HttpLimits(max_connections=20)) as house:
        open_ones = [await house.connect() for _ in range(20)]
        received, _, _ = await answer(house, b"")
        assert status(received) == 503
        for _, writer in open_ones:
            writer.close()
        async with house.client() as client, asyncio.timeout(20):
            while (await client.get("/health")).status_code != 200:
                pass


async def test_too_many_requests_at_once() -> None:
    async with open_house(HttpLimits(max_concurrent=1)) as house, house.client() as client:
        body = {"model": "acme/slow", "prefix": "x", "max_tokens": 100}
        first = asyncio.create_task(client.post("/v1/autocomplete", json=body))
        await house.busy("acme/slow")
        response = await client.post("/v1/autocomplete", json=body)
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert value(house.service.metrics, "rejected_total", reason="overloaded") == 1
        assert (await client.get("/health")).status_code == 200
        assert (await first).status_code == 200


async def test_what_bodies_hold_is_bounded_as_long_as_their_requests_run() -> None:
    async with open_house(HttpLimits(max_held_bytes=1500)) as house, house.client() as client:
        body = {"model": "acme/slow", "prefix": "x" * 1000, "max_tokens": 100}
        first = asyncio.create_task(client.post("/v1/autocomplete", json=body))
        await house.busy("acme/slow")
        response = await client.post("/v1/autocomplete", json=body)
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert value(house.service.metrics, "rejected_total", reason="overloaded") == 1
        assert (await first).status_code == 200
        body["max_tokens"] = 1
        assert (await client.post("/v1/autocomplete", json=body)).status_code == 200


async def test_comments_keep_a_quiet_stream_alive() -> None:
    async with open_house(HttpLimits(quiet_s=0.05)) as house, house.client() as client:
        hang = {"model": "coder", "prompt": "[[hang]]", "max_tokens": 9, "stream": True}
        lines = []
        async with client.stream("POST", "/v1/completions", json=hang) as response:
            async for line in response.aiter_lines():
                lines.append(line)
                if lines.count(": keep-alive") == 3:
                    break
        assert response.status_code == 200


async def test_a_reader_that_stops_reading_is_cut_off(strict: House) -> None:
    # What is echoed fills the kernel's buffers; the tokens then have nowhere to go.
    body = {"model": "coder", "prompt": "x" * 390_000, "echo": True, "n": 16, "stream": True}
    _reader, writer = await strict.connect()
    cast("asyncio.Transport", writer.transport).pause_reading()
    writer.write(post("/v1/completions", json.dumps({**body, "max_tokens": 8000}).encode()))
    await strict.busy("coder")
    assert await strict.idle("coder", 10)
    writer.close()
