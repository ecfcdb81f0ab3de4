"""What is no message of ours is the caller's mistake, and says nothing about our insides."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2
from structlog.testing import capture_logs

from hexkey.v1 import inference_pb2 as pb
from hexkey.wire.grpc import health, reflection, servicer

if TYPE_CHECKING:
    from tests.wire.grpc.grpc_house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICE = pb.DESCRIPTOR.services_by_name["InferenceService"]
GARBAGE = (b"\xff", b"\x0a\x05a", b"\x0a\x02\xff\xfe", b"\x12\x02\xff\xfe", b"\x0b", b"\x00\x01")
CASES = 300
CORPUS = [
    (
        "Translate",
        pb.TranslateRequest(text=["one two three", "four"], source="en", target="pt"),
    ),
    ("Embed", pb.EmbedRequest(text=["one two", "three"], dimensions=4, truncate=True)),
    ("Rerank", pb.RerankRequest(query="one", documents=["two", "one three"], top_n=1)),
    ("Classify", pb.ClassifyRequest(text=["one"], labels=["two", "three"])),
    ("StreamTranscribe", pb.TranscribeRequest(audio=b"RIFF", language="en", timestamps=True)),
    ("Summarize", pb.SummarizeRequest(text="one two", length=pb.LENGTH_SHORT, max_tokens=4)),
    (
        "StreamTranslate",
        pb.TranslateRequest(text=["one two three"], target="pt"),
    ),
    (
        "ExplainRoute",
        pb.ExplainRouteRequest(
            autocomplete=pb.AutocompleteRequest(
                prefix="def main",
                suffix="return",
                language="python",
                context=[pb.ContextFile(path="a.py", text="import this")],
                stop_rule=pb.STOP_RULE_LINE,
                max_tokens=20,
                temperature=0.5,
                stop=["\n\n"],
                seed=7,
            )
        ),
    ),
    (
        "ExplainRoute",
        pb.ExplainRouteRequest(
            chat=pb.ChatRequest(
                messages=[pb.ChatMessage(role="user", content="hello there")], max_tokens=4, n=2
            )
        ),
    ),
]
# A well-formed message may come out of it that names a model or language there is not.
ALLOWED = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}


async def outcome(house: House, path: str, data: bytes) -> tuple[grpc.StatusCode, str]:
    """Send bytes and return what they end in; a stream's messages are read to the end."""
    call = house.channel.unary_stream(path)(data, timeout=20)
    try:
        async for _ in call:
            pass
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


def mutated(data: bytes, dice: random.Random) -> bytes:
    """Return ``data`` with some bytes flipped, cut, doubled or put in."""
    result = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(result) + 1)
        match dice.randrange(5):
            case 0:
                result[at : at + 1] = dice.randbytes(1)
            case 1:
                del result[at : at + dice.randint(1, 8)]
            case 2:
                result[at:at] = dice.randbytes(dice.randint(1, 8))
            case 3:
                result[at:at] = result[at : at + dice.randint(1, 16)]
            case _:
                del result[at:]
    return bytes(result)


async def test_mutated_messages_are_served_or_refused(house: House) -> None:
    dice = random.Random(20)  # noqa: S311 - a fixed corpus, not a secret
    codes: list[grpc.StatusCode] = []
    for number in range(CASES):
        method, message = CORPUS[number % len(CORPUS)]
        data = mutated(message.SerializeToString(), dice)
        code, text = await outcome(house, f"/{servicer.NAME}/{method}", data)
        assert code in ALLOWED, (method, data.hex(), text)
        assert "Error" not in text, (method, data.hex(), text)
        codes.append(code)
    assert codes.count(grpc.StatusCode.INVALID_ARGUMENT) > CASES // 10
    assert grpc.StatusCode.OK in codes


@pytest.mark.parametrize("method", [method.name for method in SERVICE.methods])
async def test_garbage_is_an_invalid_argument_to_every_method(house: House, method: str) -> None:
    for garbage in GARBAGE:
        code, text = await outcome(house, f"/{servicer.NAME}/{method}", garbage)
        # An empty message takes strings as fields it does not know, and audio is any bytes.
        takes = method == "ListModels" or method.endswith("Transcribe")
        assert code is grpc.StatusCode.INVALID_ARGUMENT or takes
        assert "Error" not in text


async def test_garbage_is_an_invalid_argument_to_health_and_reflection(house: House) -> None:
    paths = [f"/{health.NAME}/{method}" for method in ("Check", "Watch")]
    for path in (*paths, *(f"/{name}/ServerReflectionInfo" for name in reflection.NAMES)):
        code, text = await outcome(house, path, b"\xff\xff")
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "Error" not in text


@pytest.mark.parametrize("data", [b"\xffcanary", b"\x12\x06canary", b""])
async def test_a_call_that_is_refused_has_one_line_in_the_log(house: House, data: bytes) -> None:
    call = house.channel.unary_unary(f"/{servicer.NAME}/Translate")
    with capture_logs() as lines, pytest.raises(grpc.aio.AioRpcError):
        await call(data, timeout=20, metadata=(("x-request-id", "one-line"),))
    (line,) = lines
    assert line["event"] == "request"
    assert (line["request_id"], line["protocol"]) == ("one-line", "grpc")
    assert (line["outcome"], line["code"]) == ("invalid", "invalid_argument")
    assert "canary" not in str(line)


async def test_an_unknown_method_is_unimplemented(house: House) -> None:
    code, _ = await outcome(house, f"/{servicer.NAME}/Nothing", b"")
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert health_pb2.HealthCheckRequest().SerializeToString() == b""
