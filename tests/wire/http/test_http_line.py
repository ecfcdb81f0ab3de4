"""What a request's connection tells it, and how an answer leaves on it."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import threading
from typing import TYPE_CHECKING

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from hexkey.wire.http import guard, protocol
from hexkey.wire.http.errors import ClientGone
from hexkey.wire.http.inflate import inflate
from hexkey.wire.http.joined import Joined
from hexkey.wire.http.presence import Presence
from tests.wire.http.http_house import House, open_house, post

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HEAD, BODY, MORE = b"head\r\n\r\n", b"body", b"more"


class Transport(asyncio.Transport):
    """Notes what each system call would send."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.sent.append(b"".join(list_of_data))

    def close(self) -> None:
        self.sent.append(b"closed")

    def is_closing(self) -> bool:
        return b"closed" in self.sent


def joined() -> tuple[Joined, Transport]:
    transport = Transport()
    return Joined(transport, asyncio.get_running_loop()), transport


async def test_a_head_leaves_with_the_first_piece_and_each_further_piece_at_once() -> None:
    answer, transport = joined()
    answer.write(HEAD)
    assert transport.sent == []
    answer.write(BODY)
    assert transport.sent == [HEAD + BODY]
    answer.write(MORE)
    await asyncio.sleep(0)
    assert transport.sent == [HEAD + BODY, MORE]


async def test_a_head_without_a_piece_waits_for_no_longer_than_a_turn() -> None:
    answer, transport = joined()
    answer.write(HEAD)
    await asyncio.sleep(0)
    assert transport.sent == [HEAD]
    answer.write(BODY)
    assert transport.sent == [HEAD, BODY]


async def test_nothing_is_sent_behind_the_close() -> None:
    answer, transport = joined()
    answer.write(HEAD)
    answer.close()
    await asyncio.sleep(0)
    assert transport.sent == [HEAD, b"closed"]


async def test_nothing_is_sent_on_a_connection_that_was_lost() -> None:
    answer, transport = joined()
    answer.write(HEAD)
    transport.close()
    await asyncio.sleep(0)
    assert transport.sent == [b"closed"]


async def test_answers_leave_that_way(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []

    class Noted(Joined):
        def write(self, data: bytes) -> None:
            written.append(data)
            super().write(data)

    monkeypatch.setattr(protocol, "Joined", Noted)
    async with open_house() as house, house.client() as client:
        await client.post("/v1/autocomplete", json={"prefix": "x"})
    head, body = written
    assert head.endswith(b"\r\n\r\n")
    assert json.loads(body)["usage"]


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_an_answer_is_whole_whatever_was_asked(method: str) -> None:
    async with open_house() as house, house.client() as client:
        answer = await client.request(method, "/health")
        again = await client.request(method, "/health")
    assert (answer.status_code, bool(answer.content)) == (200, method == "GET")
    assert int(answer.headers["content-length"]) > 0
    assert again.content == answer.content


class Line:
    """A connection that is lost on demand."""

    whole = True

    def __init__(self) -> None:
        self.gone: Callable[[], None] | None = None

    def watch(self, gone: Callable[[], None] | None) -> None:
        self.gone = gone

    def lose(self) -> None:
        assert self.gone is not None
        self.gone()


async def leave_in(line: Line, presence: Presence) -> None:
    async with presence:
        asyncio.get_running_loop().call_soon(line.lose)
        await asyncio.sleep(30)


async def test_a_presence_ends_with_the_client() -> None:
    line = Line()
    with pytest.raises(ClientGone):
        await leave_in(line, Presence(line))
    assert line.gone is None
    await asyncio.sleep(0)  # no cancellation is left over


async def test_a_client_that_leaves_after_it_cancels_nothing() -> None:
    line = Line()
    async with Presence(line):
        assert line.gone is not None
    assert line.gone is None


async def test_a_line_that_was_lost_before_is_told_of_unless_the_block_is_over() -> None:
    connection = protocol.Protocol.__new__(protocol.Protocol)
    connection.loop = asyncio.get_running_loop()
    connection.flow = FlowControl(Transport())
    connection._lost, connection._late = True, None
    with pytest.raises(ClientGone):
        async with Presence(connection):
            await asyncio.sleep(30)
    async with Presence(connection):
        pass
    await asyncio.sleep(0)  # would be where a late word cancels


async def test_who_is_cancelled_from_elsewhere_too_stays_cancelled() -> None:
    line, entered = Line(), asyncio.Event()

    async def work() -> None:
        async with Presence(line):
            entered.set()
            await asyncio.sleep(30)

    task = asyncio.create_task(work())
    await entered.wait()
    line.lose()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_pulses_come_while_the_client_is_there_and_end_with_the_block() -> None:
    line, pulses, third = Line(), 0, asyncio.Event()

    async def pulse() -> None:
        nonlocal pulses
        pulses += 1
        if pulses == 3:
            third.set()

    async with Presence(line, pulse, 0.01):
        await third.wait()
    told = pulses
    await asyncio.sleep(0.05)
    assert pulses == told


async def test_a_pulse_that_nobody_reads_ends_with_its_client() -> None:
    line, ended = Line(), asyncio.Event()

    async def pulse() -> None:
        asyncio.get_running_loop().call_soon(line.lose)
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()

    with pytest.raises(ClientGone):
        async with Presence(line, pulse, 0.01):
            await asyncio.sleep(30)
    await asyncio.wait_for(ended.wait(), 10)


async def test_a_client_that_left_before_its_run_began_is_noticed_by_it() -> None:
    """Its body is unpacked in a thread, which takes until it has left."""
    begun, left = threading.Event(), threading.Event()

    def slowly(data: bytes, limit: int) -> bytes:
        begun.set()
        assert left.wait(10)
        return inflate(data, limit)

    tensor = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["x"]}
    asked = {"inputs": [tensor], "parameters": {"source": "en", "target": "pt"}}
    path, body = "/v2/models/interpreter/infer", gzip.compress(json.dumps(asked).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard, "inflate", slowly)
        async with open_house() as house, asyncio.timeout(20):
            _, writer = await house.connect()
            writer.write(post(path, body, "Content-Encoding: gzip"))
            await asyncio.to_thread(begun.wait, 10)
            writer.close()
            connections = house.server._server.server_state.connections
            while connections:  # noqa: ASYNC110 - uvicorn has no event
                await asyncio.sleep(0.005)
            left.set()
            while not (ended := outcomes(house)):  # noqa: ASYNC110 - metrics have none
                await asyncio.sleep(0.005)
    assert ended == {"cancelled": 1}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_after_a_large_body_is_noticed(stream: bool) -> None:  # noqa: FBT001
    """uvicorn pauses reading at 64 KiB of a body, and who does not read sees nobody leave."""
    text = "x" * 400_000
    asked = {"prefix": text, "model": "acme/slow", "max_tokens": 5000, "stream": stream}
    async with open_house() as house, asyncio.timeout(30):
        _, writer = await house.connect()
        writer.write(post("/v1/autocomplete", json.dumps(asked).encode()))
        await house.busy("acme/slow")
        writer.close()
        assert await house.idle("acme/slow", within_s=10)
        while not (ended := outcomes(house)):  # noqa: ASYNC110 - metrics have none
            await asyncio.sleep(0.005)
    assert ended == {"cancelled": 1}


async def test_a_client_that_pipelined_and_leaves_ends_what_runs_without_a_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = json.dumps({"prefix": "x", "model": "acme/slow", "max_tokens": 5000}).encode()
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
    async with open_house() as house, asyncio.timeout(30):
        _, writer = await house.connect()
        writer.write(2 * post("/v1/autocomplete", body))
        await house.busy("acme/slow")
        writer.close()
        while not (ended := outcomes(house)):  # noqa: ASYNC110 - metrics have none
            await asyncio.sleep(0.005)
        gc.collect()
        await asyncio.sleep(0)
    assert ended == {"cancelled": 1}
    assert (faults, [record.getMessage() for record in caplog.records]) == ([], [])


def outcomes(house: House) -> dict[str, float]:
    return {
        sample.labels["outcome"]: sample.value
        for metric in house.service.metrics.requests.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
