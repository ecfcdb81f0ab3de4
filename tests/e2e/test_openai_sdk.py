"""The official SDK against the real model: what a caller of OpenAI's API would notice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.conftest import Served
from tests.waiting import until

PROMPT = "Once upon a time, in a small village by the sea,"


@pytest.fixture(scope="module")
def client(quickstart: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{quickstart.http}/v1", api_key="none", max_retries=0) as made:
        yield made


def running(quickstart: Served) -> float:
    text = httpx.get(f"{quickstart.http}/metrics").text
    values = [line for line in text.splitlines() if line.startswith("hexkey_engine_running{")]
    return sum(float(line.split()[-1]) for line in values)


@pytest.mark.parametrize("options", [{}, {"stop": ["."]}, {"n": 2}, {"suffix": "The end."}])
def test_a_streamed_completion_says_what_the_unstreamed_one_says(
    client: openai.OpenAI, options: dict[str, Any]
) -> None:
    ask: dict[str, Any] = {
        "model": "auto",
        "prompt": PROMPT,
        "max_tokens": 40,
        "temperature": 0,
        **options,
    }
    whole = client.completions.create(**ask)
    texts = [""] * len(whole.choices)
    reasons: list[list[str]] = [[] for _ in whole.choices]
    ids = set()
    for chunk in client.completions.create(**ask, stream=True):
        ids.add(chunk.id)
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            if choice.finish_reason:
                reasons[choice.index].append(choice.finish_reason)
    assert texts == [choice.text for choice in whole.choices]
    assert reasons == [[choice.finish_reason] for choice in whole.choices]
    assert len(ids) == 1
    assert whole.usage is not None
    assert whole.usage.completion_tokens > 0


def test_stop_ends_before_the_word(client: openai.OpenAI) -> None:
    ask: dict[str, Any] = {"model": "auto", "prompt": PROMPT, "max_tokens": 60, "temperature": 0}
    free = client.completions.create(**ask).choices[0].text
    word = free.split()[5]
    stopped = client.completions.create(**ask, stop=word).choices[0]
    assert stopped.text == free[: free.index(word)]
    assert stopped.finish_reason == "stop"


def test_a_harness_gets_as_many_tokens_as_it_asks_for(client: openai.OpenAI) -> None:
    ask: dict[str, Any] = {
        "model": "chat",
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "temperature": 0,
        "max_tokens": 24,
    }

    def said(**more: object) -> tuple[int, str, str]:
        answer = client.chat.completions.create(**ask, extra_body=more)
        (choice,) = answer.choices
        return answer.usage.completion_tokens, choice.finish_reason, choice.message.content

    tokens, reason, text = said()
    assert (tokens < 20, reason) == (True, "stop")
    more = said(ignore_eos=True)
    assert more[:2] == (24, "length")
    assert more[2].startswith(text)
    assert tokens < said(min_tokens=tokens + 3)[0] <= 24
    with pytest.raises(openai.BadRequestError, match="min_tokens"):
        said(min_tokens=25)


def test_chat_streams_with_usage_only_when_asked(client: openai.OpenAI) -> None:
    ask: dict[str, Any] = {
        "model": "chat",
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "max_tokens": 30,
        "temperature": 0,
    }
    whole = client.chat.completions.create(**ask)
    assert "Paris" in (whole.choices[0].message.content or "")
    plain = list(client.chat.completions.create(**ask, stream=True))
    assert plain[0].choices[0].delta.role == "assistant"
    assert all(chunk.usage is None for chunk in plain)
    counted = list(
        client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True})
    )
    assert counted[-1].choices == []
    assert counted[-1].usage is not None
    assert counted[-1].usage.completion_tokens == whole.usage.completion_tokens
    for chunks in (plain, counted):
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text == whole.choices[0].message.content


def test_seeded_sampling_repeats_itself(client: openai.OpenAI) -> None:
    ask: dict[str, Any] = {
        "model": "auto",
        "prompt": PROMPT,
        "max_tokens": 20,
        "temperature": 0.9,
        "seed": 5,
    }
    first, second = (client.completions.create(**ask).choices[0].text for _ in range(2))
    assert first == second


def test_errors_are_the_sdks_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.completions.create(model="gpt-9", prompt="x")
    assert "smollm2-135m-instruct" in str(missing.value)
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="gpt-9", prompt="x", stream=True)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="auto", messages=[])
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model="auto", prompt="x", temperature=9)
    with pytest.raises(openai.BadRequestError) as long:
        client.completions.create(model="auto", prompt="word " * 20_000, max_tokens=4)
    assert "8191" in str(long.value)
    with pytest.raises(openai.APITimeoutError):
        # As many tokens as were asked for: one drawn by chance may end the answer in time.
        client.with_options(timeout=0.2).completions.create(
            model="auto", prompt=PROMPT, max_tokens=2000, extra_body={"ignore_eos": True}
        )


def test_leaving_a_stream_frees_the_engine(client: openai.OpenAI, quickstart: Served) -> None:
    ask: dict[str, Any] = {"model": "auto", "prompt": PROMPT, "max_tokens": 4000, "temperature": 0}
    stream = client.completions.create(**ask, stream=True, extra_body={"ignore_eos": True})
    next(iter(stream))
    assert running(quickstart) >= 1
    stream.close()
    # Which is far from what the whole answer would take.
    until(lambda: not running(quickstart), 10, "rest of an engine that works for nobody")


def test_models_are_listed(client: openai.OpenAI) -> None:
    names = {model.id for model in client.models.list()}
    assert names == {"smollm2-135m-instruct", "firefox-en-pt", "firefox-pt-en"}
    assert client.models.retrieve("firefox-en-pt").id == "firefox-en-pt"
