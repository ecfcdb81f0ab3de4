"""Anthropic's own client against the real model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from tests.e2e.conftest import Served

ASK: dict[str, Any] = {
    "model": "chat",
    "max_tokens": 30,
    # The client does not know it any more.
    "extra_body": {"temperature": 0},
    "system": "You answer in one sentence.",
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
}


@pytest.fixture(scope="module")
def client(quickstart: Served) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=quickstart.http, api_key="none", max_retries=0) as made:
        yield made


def test_a_stream_says_what_the_whole_answer_says(client: Any) -> None:
    whole = client.messages.create(**ASK)
    assert "Paris" in whole.content[0].text
    assert whole.stop_reason == "end_turn"
    with client.messages.stream(**ASK) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text
    assert final.stop_reason == whole.stop_reason
    assert final.usage.output_tokens == whole.usage.output_tokens > 0
    assert _input(final.usage) == _input(whole.usage) > 0


def test_an_answer_that_is_cut_says_so(client: Any) -> None:
    cut = client.messages.create(**ASK | {"max_tokens": 2})
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 2)
    stopped = client.messages.create(**ASK, stop_sequences=["London", "Paris"])
    assert "Paris" not in stopped.content[0].text
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "Paris")
    with client.messages.stream(**ASK, stop_sequences=["London", "Paris"]) as stream:
        final = stream.get_final_message()
    assert (final.stop_reason, final.stop_sequence) == ("stop_sequence", "Paris")
    assert final.content[0].text == stopped.content[0].text


def test_tokens_are_counted_as_the_model_sees_them(client: Any) -> None:
    asked = {name: ASK[name] for name in ("model", "system", "messages")}
    counted = client.messages.count_tokens(**asked)
    assert counted.input_tokens == _input(client.messages.create(**ASK).usage)


def test_content_may_come_in_blocks(client: Any) -> None:
    blocks = [
        {"type": "text", "text": "What is the capital "},
        {"type": "text", "text": "of Italy?"},
    ]
    answer = client.messages.create(**ASK | {"messages": [{"role": "user", "content": blocks}]})
    assert "Rome" in answer.content[0].text


def test_errors_are_the_clients_own(client: Any) -> None:
    with pytest.raises(anthropic.NotFoundError, match="smollm2-135m-instruct"):
        client.messages.create(**ASK | {"model": "claude"})
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(**ASK | {"model": "claude"}, stream=True)
    with pytest.raises(anthropic.BadRequestError, match="tools"):
        client.messages.create(**ASK, tools=[{"name": "f", "input_schema": {"type": "object"}}])
    image = {"type": "image", "source": {"type": "url", "url": "x"}}
    with pytest.raises(anthropic.BadRequestError, match="type text"):
        client.messages.create(**ASK | {"messages": [{"role": "user", "content": [image]}]})


def _input(usage: Any) -> Any:
    return usage.input_tokens + (usage.cache_read_input_tokens or 0)
