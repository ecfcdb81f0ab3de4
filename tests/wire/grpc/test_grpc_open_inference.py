"""``ModelStreamInfer``: one text comes in pieces, several whole, and what it took is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hexkey.config import CostConfig
from hexkey.v1 import open_inference_pb2 as oip
from hexkey.wire.oip.tensors import unpack
from tests.wire.grpc.grpc_house import metadata_of, open_house, rest

if TYPE_CHECKING:
    from tests.wire.grpc.grpc_house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"


def asking(*texts: str) -> bytes:
    tensor = oip.ModelInferRequest.InferInputTensor(
        name="text_input", datatype="BYTES", shape=[len(texts)]
    )
    tensor.contents.bytes_contents.extend(text.encode() for text in texts)
    asked = oip.ModelInferRequest(model_name="translate", inputs=[tensor])
    asked.parameters["source"].string_param = "en"
    asked.parameters["target"].string_param = "pt"
    return asked.SerializeToString()


async def said(house: House, *texts: str) -> tuple[list[list[str]], dict[str, Any]]:
    """What each message of the answer holds, and the trailing metadata."""
    call = house.channel.stream_stream(STREAM)
    stream = call()
    await stream.write(asking(*texts))
    await stream.done_writing()
    answers = []
    for data in await rest(stream):
        answer = oip.ModelStreamInferResponse.FromString(data)
        assert not answer.error_message
        (raw,) = answer.infer_response.raw_output_contents
        answers.append([one.decode() for one in unpack("text_output", raw)])
    return answers, metadata_of(await stream.trailing_metadata())


async def test_a_request_that_breaks_tells_how_many_tokens_it_told() -> None:
    async with open_house() as house:
        stream = house.channel.stream_stream(STREAM)()
        for text in ("one two three four", "one two three [[exit]] five"):
            await stream.write(asking(text))
        await stream.done_writing()
        answers = [oip.ModelStreamInferResponse.FromString(data) for data in await rest(stream)]
    *_, failed = answers
    assert "ended" in failed.error_message
    raw = [one.infer_response.raw_output_contents[0] for one in answers[:-1]]
    words = b" ".join(piece for one in raw for piece in unpack("text_output", one)).split()
    assert failed.infer_response.parameters["tokens_emitted"].int64_param == len(words[4:]) > 0


async def test_several_texts_are_told_apart() -> None:
    async with open_house(cost=CostConfig(price_per_hour="3.6")) as house:
        whole, trailers = await said(house, "one two three", "four", "five six")
        assert whole == [["ONE TWO THREE", "FOUR", "FIVE SIX"]]
        assert float(trailers["x-request-cost"]) > 0
        assert "server-timing" in trailers
        pieces, trailers = await said(house, "one two three")
        assert "".join(piece for (piece,) in pieces).split() == ["ONE", "TWO", "THREE"]
        assert float(trailers["x-request-cost"]) > 0
