"""The openai client on embeddings and speech, and cohere's on rerank: real models, every task."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import cohere
import numpy as np
import openai
import pytest
import soundfile

from tests.e2e.conftest import ROOT, Served
from tests.unit.engines.encoder.reference import Reference

SPEECH = ROOT / "tests" / "data" / "speech.flac"
WORDS = "How much does the machine cost? It costs ten cents an hour."


@pytest.fixture(scope="module")
def client(full: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{full.http}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_embeddings_are_the_models_in_the_order_of_the_inputs(
    client: openai.OpenAI, minilm: Path
) -> None:
    texts = ["A dog sleeps.", "Ein Hund schläft.", "The stock market fell."]
    answer = client.embeddings.create(model="auto", input=texts)
    reference = Reference(minilm)
    assert [one.index for one in answer.data] == [0, 1, 2]
    for one, text in zip(answer.data, texts, strict=True):
        vector = np.array(one.embedding)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        assert float(vector @ reference(text)) > 0.9999
    assert answer.model == "all-minilm-l6-v2"
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0


def test_embeddings_by_every_way_to_ask(client: openai.OpenAI, minilm: Path) -> None:
    packed = client.embeddings.create(model="embed", input="a dog").data[0].embedding
    plain = client.embeddings.create(model="embed", input="a dog", encoding_format="float")
    assert plain.data[0].embedding == pytest.approx(packed, abs=1e-7)
    ids = Reference(minilm).tokenizer.encode("a dog").ids
    by_ids = client.embeddings.create(model="embed", input=ids).data[0].embedding
    assert by_ids == pytest.approx(packed, abs=1e-6)
    short = client.embeddings.create(model="embed", input="a dog", dimensions=16).data[0].embedding
    assert len(short) == 16
    with pytest.raises(openai.BadRequestError, match="reads at most 256"):
        client.embeddings.create(model="embed", input="word " * 300)
    with pytest.raises(openai.BadRequestError, match="does not do embed"):
        client.embeddings.create(model="smollm2-135m-instruct", input="a")


def test_speech_becomes_text_in_every_format(client: openai.OpenAI) -> None:
    ask = client.audio.transcriptions
    assert ask.create(model="auto", file=SPEECH).text == WORDS
    assert ask.create(model="auto", file=SPEECH, response_format="text").strip() == WORDS
    verbose = ask.create(
        model="auto",
        file=SPEECH,
        response_format="verbose_json",
        timestamp_granularities=["segment"],
        language="en",
    )
    assert verbose.text == WORDS
    assert float(verbose.duration) == pytest.approx(5.218, abs=0.01)
    assert verbose.segments is not None
    assert [one.text for one in verbose.segments] == [
        f"{part}" for part in WORDS.split(" It ")[:1]
    ] + ["It costs ten cents an hour."]
    assert "00:00:0" in ask.create(model="auto", file=SPEECH, response_format="srt")


def test_speech_as_a_stream_and_as_other_files(client: openai.OpenAI) -> None:
    samples, rate = soundfile.read(SPEECH)
    for name, kind in (("a.mp3", "MP3"), ("a.ogg", "OGG"), ("a.wav", "WAV")):
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, rate, format=kind)
        events = list(
            client.audio.transcriptions.create(
                model="transcribe", file=(name, buffer.getvalue()), stream=True
            )
        )
        assert events[-1].type == "transcript.text.done"
        assert events[-1].text == WORDS
        text = "".join(one.delta for one in events if one.type == "transcript.text.delta")
        assert text.strip() == WORDS


def test_a_bomb_and_what_is_no_audio_are_refused(client: openai.OpenAI) -> None:
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 16_000, 1, format="FLAC", subtype="PCM_16") as file:
        minute = np.zeros(16_000 * 60, np.int16)
        for _ in range(31):
            file.write(minute)
    with pytest.raises(openai.APIStatusError, match="more than the 1800 seconds") as caught:
        client.audio.transcriptions.create(model="auto", file=("b.flac", buffer.getvalue()))
    assert caught.value.status_code == 413
    with pytest.raises(openai.BadRequestError, match="no WAV, FLAC"):
        client.audio.transcriptions.create(model="auto", file=("a.wav", b"RIFF nothing"))


def test_cohere_reranks(full: Served) -> None:
    documents = [
        "Carson City is the capital of Nevada.",
        "Bread is baked in an oven.",
        "Washington, D.C. is the capital of the United States.",
    ]
    query = "What is the capital of the United States?"
    client = cohere.ClientV2(api_key="none", base_url=full.http)
    answer = client.rerank(model="auto", query=query, documents=documents)
    assert [one.index for one in answer.results] == [2, 0, 1]
    scores = [one.relevance_score for one in answer.results]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    best = client.rerank(model="auto", query=query, documents=documents, top_n=1)
    assert [one.index for one in best.results] == [2]
    with pytest.raises(cohere.NotFoundError, match="no model 'nobody'"):
        client.rerank(model="nobody", query=query, documents=documents)
