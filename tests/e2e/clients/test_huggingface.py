"""Hugging Face's inference client, at a model's URL and at the front door."""

from __future__ import annotations

import json

import httpx
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError, ValidationError

from tests.e2e.conftest import ROOT, Served

ENGLISH = "The weather is nice today."
PORTUGUESE = "O tempo é bom hoje."
PROMPT = "Once upon a time"
CAPITAL = "The capital of France is"


@pytest.fixture(scope="module")
def client() -> InferenceClient:
    return InferenceClient(provider="hf-inference", api_key="no key")


def test_translation(client: InferenceClient, quickstart: Served) -> None:
    one = f"{quickstart.http}/models/firefox-en-pt"
    assert client.translation(ENGLISH, model=one).translation_text == PORTUGUESE
    any_model = f"{quickstart.http}/models/translate"
    answer = client.translation(ENGLISH, model=any_model, src_lang="en_XX", tgt_lang="pt_XX")
    assert answer.translation_text == PORTUGUESE


def test_generation_says_the_same_in_every_form(
    client: InferenceClient, quickstart: Served
) -> None:
    url = quickstart.http
    text = client.text_generation(PROMPT, model=url, max_new_tokens=8)
    named = f"{url}/models/smollm2-135m-instruct"
    whole = client.text_generation(
        PROMPT, model=named, max_new_tokens=8, details=True, return_full_text=True
    )
    assert whole.generated_text == PROMPT + text
    assert whole.details is not None
    assert (whole.details.finish_reason, whole.details.generated_tokens) == ("length", 8)
    tokens = list(
        client.text_generation(PROMPT, model=url, max_new_tokens=8, details=True, stream=True)
    )
    assert "".join(one.token.text for one in tokens if not one.token.special) == text
    assert tokens[-1].generated_text == text
    assert tokens[-1].details is not None
    assert tokens[-1].details.generated_tokens == 8


def test_tgis_own_paths(client: InferenceClient, quickstart: Served) -> None:
    text = client.text_generation(CAPITAL, model=quickstart.http, max_new_tokens=8)
    body = {"inputs": CAPITAL, "parameters": {"max_new_tokens": 8, "details": True}}
    whole = httpx.post(f"{quickstart.http}/generate", json=body, timeout=60).json()
    assert (whole["generated_text"], whole["details"]["generated_tokens"]) == (text, 8)
    with httpx.stream(
        "POST", f"{quickstart.http}/generate_stream", json=body, timeout=60
    ) as answer:
        events = [json.loads(line[5:]) for line in answer.iter_lines() if line]
    assert "".join(one["token"]["text"] for one in events) == text
    assert events[-1]["generated_text"] == text
    stopped = {"inputs": CAPITAL, "parameters": {"details": True, "stop": ["."]}}
    ended = httpx.post(f"{quickstart.http}/generate", json=stopped, timeout=60).json()
    assert ended["details"]["finish_reason"] == "stop_sequence"


def test_chat(quickstart: Served) -> None:
    client = InferenceClient(base_url=quickstart.http, api_key="no key")
    answer = client.chat_completion(
        [{"role": "user", "content": "What is the capital of France?"}],
        model="chat",
        max_tokens=30,
        temperature=0,
    )
    assert "Paris" in (answer.choices[0].message.content or "")


def test_errors_are_the_clients_own(client: InferenceClient, quickstart: Served) -> None:
    with pytest.raises(ValidationError, match="max_new_tokens"):
        client.text_generation("x", model=quickstart.http, max_new_tokens=1 << 40)
    with pytest.raises(ValidationError, match="smollm2"):
        client.text_generation("x", model=f"{quickstart.http}/models/nope")
    with pytest.raises(HfHubHTTPError, match="en-pt") as missing:
        client.translation(
            "x", model=f"{quickstart.http}/models/firefox-en-pt", src_lang="de", tgt_lang="fr"
        )
    assert missing.value.response.status_code == 404


def test_the_tasks_that_generate_no_text(client: InferenceClient, full: Served) -> None:
    reader = f"{full.http}/models/all-minilm-l6-v2"
    vectors = client.feature_extraction("a dog", model=reader, truncate=True)
    assert vectors.shape == (1, 384)
    assert float((vectors**2).sum()) == pytest.approx(1, abs=1e-5)
    scores = client.sentence_similarity(
        "a young dog", other_sentences=["stocks fell", "a puppy plays"], model=reader
    )
    assert 0 <= scores[0] < scores[1] <= 1
    speech = ROOT / "tests" / "data" / "speech.flac"
    url = f"{full.http}/models/transcribe"
    assert client.automatic_speech_recognition(speech, model=url).text.startswith("How much does")


def test_summarization(client: InferenceClient, full: Served) -> None:
    text = (
        "The old bridge over the river was closed in March, after engineers found cracks in it. "
        "The town will build a new bridge, which will be finished in two years."
    )
    answer = client.summarization(text, model=f"{full.http}/models/summarize")
    assert "bridge" in answer.summary_text
