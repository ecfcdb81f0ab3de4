"""embed, rerank, classify, transcribe and summarize over gRPC."""

from __future__ import annotations

import math

import grpc
import pytest

from hexkey.types import Task
from hexkey.v1 import inference_pb2 as pb
from hexkey.wire.grpc.codecs import CODECS
from tests.wire.grpc.grpc_house import House, rest

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICE = pb.DESCRIPTOR.services_by_name["InferenceService"]
SAID = "w0 w1 w2 w3 w4 w5 w6 w7"
AUDIO = bytes(32_000)  # a second, as the fake engine counts


async def test_every_task_has_a_codec_and_every_codec_its_methods() -> None:
    assert set(CODECS) == set(Task)
    methods = {method.name: method.input_type.name for method in SERVICE.methods}
    for task, codec in CODECS.items():
        assert methods[task.title()] == codec.request.DESCRIPTOR.name
        assert (f"Stream{task.title()}" in methods) is codec.streams
    fields = {field.name for field in pb.ExplainRouteRequest.DESCRIPTOR.fields}
    assert fields >= {task.value for task in Task}


async def test_embed(house: House) -> None:
    answer = await house.stub.Embed(pb.EmbedRequest(text=["a b", "c"], dimensions=4))
    assert [one.index for one in answer.embeddings] == [0, 1]
    for one in answer.embeddings:
        assert len(one.values) == 4
        assert math.hypot(*one.values) == pytest.approx(1)
    assert answer.usage == pb.Usage(input_tokens=3, input_characters=3 + 1 + 1)


async def test_rerank(house: House) -> None:
    documents = ["a blue wall", "the red door", "a red wall"]
    request = pb.RerankRequest(query="red door", documents=documents)
    answer = await house.stub.Rerank(request)
    assert [(one.index, one.relevance_score) for one in answer.results] == [
        (1, 1.0),
        (2, 0.5),
        (0, 0.0),
    ]
    request.top_n = 1
    assert [one.index for one in (await house.stub.Rerank(request)).results] == [1]


async def test_classify(house: House) -> None:
    answer = await house.stub.Classify(pb.ClassifyRequest(text=["a", "b"], labels=["x", "y"]))
    for one in answer.classifications:
        scores = [label.score for label in one.scores]
        assert scores == sorted(scores, reverse=True)
        assert sum(scores) == pytest.approx(1)
    own = await house.stub.Classify(pb.ClassifyRequest(text=["a"]))
    assert {label.label for label in own.classifications[0].scores} == {"short", "long"}


async def test_transcribe(house: House) -> None:
    request = pb.TranscribeRequest(audio=AUDIO, timestamps=True)
    answer = await house.stub.Transcribe(request)
    assert answer.text == SAID
    assert list(answer.segments) == [
        pb.Segment(start_seconds=0, end_seconds=1, text=SAID, language="en")
    ]
    assert answer.usage.audio_seconds == 1
    events = await rest(house.stub.StreamTranscribe(request))
    kinds = [event.WhichOneof("event") for event in events]
    # A slow reader finds deltas merged.
    assert [kind for kind in kinds if kind != "delta"] == ["start", "segment", "finish", "usage"]
    assert "".join(event.delta.text for event in events).strip() == SAID


async def test_summarize(house: House) -> None:
    request = pb.SummarizeRequest(text="A long story.", length=pb.LENGTH_SHORT, max_tokens=3)
    answer = await house.stub.Summarize(request)
    assert (answer.text, answer.finish_reason) == ("w0 w1 w2 ", pb.FINISH_REASON_LENGTH)
    events = await rest(house.stub.StreamSummarize(request))
    assert "".join(event.delta.text for event in events) == answer.text
    assert events[-1].usage == answer.usage
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.stub.Summarize(pb.SummarizeRequest(text="a", length=9))  # type: ignore[arg-type]
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("task", list(Task))
async def test_explain_route_takes_every_task(house: House, task: Task) -> None:
    inside: dict[Task, object] = {
        Task.AUTOCOMPLETE: pb.AutocompleteRequest(prefix="a"),
        Task.CHAT: pb.ChatRequest(messages=[pb.ChatMessage(role="user", content="a")]),
        Task.TRANSLATE: pb.TranslateRequest(text=["a"], target="pt"),
        Task.EMBED: pb.EmbedRequest(text=["a"]),
        Task.RERANK: pb.RerankRequest(query="a", documents=["b"]),
        Task.CLASSIFY: pb.ClassifyRequest(text=["a"]),
        Task.TRANSCRIBE: pb.TranscribeRequest(audio=b"a"),
        Task.SUMMARIZE: pb.SummarizeRequest(text="a"),
    }
    request = pb.ExplainRouteRequest(**{task.value: inside[task]})  # type: ignore[arg-type]
    assert (await house.stub.ExplainRoute(request)).model == "fast"
