"""Ollama's own client: generate, chat, and what it asks before."""

from __future__ import annotations

from typing import Any

import numpy as np
import ollama
import pytest

from tests.e2e.conftest import Served

MODEL = "smollm2-135m-instruct"
CODE: dict[str, Any] = {"prompt": "def add(a, b):\n    return", "suffix": "\n\nprint(add(1, 2))"}
ASK = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def client(quickstart: Served) -> Any:
    return ollama.Client(host=quickstart.http)


def test_generate_with_a_suffix(client: Any) -> None:
    whole = client.generate(MODEL, **CODE, options={"num_predict": 8})
    assert whole.done
    assert (whole.done_reason, whole.eval_count) == ("length", 8)
    assert whole.total_duration > 0
    lines = list(client.generate(MODEL, **CODE, options={"num_predict": 8}, stream=True))
    assert "".join(line.response for line in lines) == whole.response
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1].eval_count == 8


def test_a_plain_prompt_is_a_question(client: Any) -> None:
    answer = client.generate(f"{MODEL}:latest", ASK[0]["content"], options={"num_predict": 30})
    assert "Paris" in answer.response
    raw = client.generate(MODEL, "The capital of France is", raw=True, options={"num_predict": 4})
    assert "Paris" in raw.response
    assert raw.prompt_eval_count < answer.prompt_eval_count


def test_chat(client: Any) -> None:
    whole = client.chat("chat", messages=ASK, options={"num_predict": 30})
    assert "Paris" in whole.message.content
    lines = list(client.chat("chat", messages=ASK, options={"num_predict": 30}, stream=True))
    assert "".join(line.message.content for line in lines) == whole.message.content
    assert lines[-1].done_reason == whole.done_reason


def test_an_empty_prompt_loads_the_model(client: Any) -> None:
    assert client.generate(MODEL).done_reason == "load"
    assert client.chat(MODEL, messages=[]).done_reason == "load"
    assert client.generate(MODEL, keep_alive=0).done_reason == "unload"
    assert [one.model for one in client.ps().models] == [MODEL]
    with pytest.raises(ollama.ResponseError, match="no model"):
        client.generate("llama3")


def test_models(client: Any) -> None:
    assert [one.model for one in client.list().models] == [MODEL]
    assert [one.model for one in client.ps().models] == [MODEL]
    shown = client.show(MODEL)
    assert shown.capabilities == ["completion"]
    assert shown.modelinfo["hexkey.context_length"] == 8192


@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_the_clients_own(client: Any, *, stream: bool) -> None:
    with pytest.raises(ollama.ResponseError, match=MODEL) as missing:
        list(client.generate("llama3", "x", stream=stream))
    assert missing.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match=r"options\.num_predict") as wrong:
        list(client.generate(MODEL, "x", stream=stream, options={"num_predict": 1 << 40}))
    assert wrong.value.status_code == 400
    with pytest.raises(ollama.ResponseError, match="template"):
        list(client.generate(MODEL, "x", template="{{.Prompt}}", stream=stream))
    with pytest.raises(ollama.ResponseError, match="format"):
        list(client.chat(MODEL, ASK, format="json", stream=stream))


def test_vectors(full: Served) -> None:
    texts = ["A dog sleeps.", "A cat sleeps.", "The stock market fell."]
    client = ollama.Client(host=full.http)
    answer = client.embed("all-minilm-l6-v2", texts)
    vectors = np.array(answer.embeddings)
    assert vectors.shape == (3, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert answer.prompt_eval_count
    assert client.embed("embed", texts[0]).embeddings[0] == pytest.approx(vectors[0], abs=1e-5)
    older = client.embeddings("all-minilm-l6-v2:latest", texts[0])
    assert older.embedding == pytest.approx(vectors[0], abs=1e-5)
    long = "a word " * 400
    assert client.embed("all-minilm-l6-v2", long).embeddings
    with pytest.raises(ollama.ResponseError, match="input"):
        client.embed("all-minilm-l6-v2", long, truncate=False)
    with pytest.raises(ollama.ResponseError, match="input"):
        client.embed("all-minilm-l6-v2", [])
