"""Every task on real models over both wires: the same answers, counted in their own units."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest

from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import inference_pb2_grpc
from tests.e2e.conftest import ROOT, Served

SPEECH = (ROOT / "tests" / "data" / "speech.flac").read_bytes()
WORDS = "How much does the machine cost? It costs ten cents an hour."
ARTICLE = (
    "The town council of Millbrook voted on Tuesday to build a new bridge over the river Tarn. "
    "The old bridge, built in 1931, was closed in March after engineers found cracks in two of its "
    "pillars. The new bridge will cost four million dollars and will be finished in two years. "
    "Until then a ferry takes people across the river for free."
)


@pytest.fixture(scope="module")
def http(full: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=full.http, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def stub(full: Served) -> Iterator[Any]:
    with grpc.insecure_channel(full.grpc) as channel:
        made: Any = inference_pb2_grpc.InferenceServiceStub
        yield made(channel)


def post(http: httpx.Client, path: str, **body: object) -> Any:
    response = http.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_vectors_are_the_same_over_both_wires(http: httpx.Client, stub: Any) -> None:
    texts = ["a dog", "a cat"]
    answer = post(http, "/v1/embed", text=texts)
    other = stub.Embed(pb.EmbedRequest(text=texts))
    for one, same in zip(answer["embeddings"], other.embeddings, strict=True):
        assert one["values"] == pytest.approx(list(same.values), abs=1e-6)
    assert answer["usage"]["input_tokens"] == other.usage.input_tokens == 8


def test_an_order_is_the_same_and_says_how_it_was_found(http: httpx.Client, stub: Any) -> None:
    query, documents = "a young dog", ["stocks fell", "a puppy plays", "a cat sleeps"]
    answer = post(http, "/v1/rerank", query=query, documents=documents)
    other = stub.Rerank(pb.RerankRequest(query=query, documents=documents))
    order = [one["index"] for one in answer["results"]]
    assert order == [one.index for one in other.results] == [1, 2, 0]
    assert "bi-encoder" in answer["notes"][0]
    assert answer["notes"] == list(other.notes)
    card = next(one for one in http.get("/v1/models").json()["data"] if "rerank" in one["tasks"])
    assert "bi-encoder" in card["notes"][0]


def test_labels_are_the_same(http: httpx.Client, stub: Any) -> None:
    labels = ["sport", "cooking"]
    text = ["Fry the onions until golden."]
    (found,) = post(http, "/v1/classify", text=text, labels=labels)["classifications"]
    (other,) = stub.Classify(pb.ClassifyRequest(text=text, labels=labels)).classifications
    assert [one["label"] for one in found["scores"]] == ["cooking", "sport"]
    assert [one.label for one in other.scores] == ["cooking", "sport"]


def test_speech_is_the_same_and_counted_in_seconds(http: httpx.Client, stub: Any) -> None:
    audio = base64.b64encode(SPEECH).decode()
    answer = post(http, "/v1/transcribe", audio=audio, timestamps=True)
    other = stub.Transcribe(pb.TranscribeRequest(audio=SPEECH, timestamps=True))
    assert answer["text"] == other.text == WORDS
    assert answer["usage"]["audio_seconds"] == pytest.approx(5.218, abs=0.01)
    assert other.usage.audio_seconds == answer["usage"]["audio_seconds"]
    assert [one["text"] for one in answer["segments"]] == [one.text for one in other.segments]
    assert float(answer["usage"]["cost_details"]["amount"]) > 0
    metrics = http.get("/metrics").text
    line = next(one for one in metrics.splitlines() if "input_audio_seconds_total{" in one)
    assert 'task="transcribe"' in line
    assert float(line.split()[-1]) >= 10


@pytest.mark.parametrize("length", ["short", "medium", "long"])
def test_a_summary_says_what_the_text_says_and_less(http: httpx.Client, length: str) -> None:
    answer = post(http, "/v1/summarize", text=ARTICLE, length=length, max_tokens=120)
    (summary,) = answer["summaries"]
    assert "bridge" in summary["text"].lower()
    assert len(summary["text"]) < len(ARTICLE) * (0.7 if length == "short" else 1.5)
    assert answer["model"] == "smollm2-135m-instruct"


def test_a_summary_is_the_same_over_both_wires_and_streamed(http: httpx.Client, stub: Any) -> None:
    request = pb.SummarizeRequest(text=ARTICLE, length=pb.LENGTH_SHORT, max_tokens=60)
    whole = stub.Summarize(request).text
    streamed = "".join(event.delta.text for event in stub.StreamSummarize(request))
    answer = post(http, "/v1/summarize", text=ARTICLE, length="short", max_tokens=60)
    assert whole == streamed == answer["summaries"][0]["text"]
