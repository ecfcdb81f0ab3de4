"""Mistral's own client: fill in the middle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mistralai.client import Mistral
from mistralai.client.errors import SDKError

from tests.e2e.conftest import Served

PROMPT = "def add(a, b):\n    return"
SUFFIX = "\n\nprint(add(1, 2))"


@pytest.fixture(scope="module")
def client(quickstart: Served) -> Iterator[Mistral]:
    with Mistral(api_key="no key", server_url=quickstart.http) as made:
        yield made


def test_the_middle_is_filled_in(client: Mistral) -> None:
    answer = client.fim.complete(model="auto", prompt=PROMPT, suffix=SUFFIX, max_tokens=8)
    (choice,) = answer.choices
    assert choice.finish_reason == "length"
    assert answer.usage.completion_tokens == 8
    text = "".join(
        event.data.choices[0].delta.content
        for event in client.fim.stream(model="auto", prompt=PROMPT, suffix=SUFFIX, max_tokens=8)
    )
    assert text == choice.message.content
    assert text


def test_a_stream_ends_with_reason_and_usage(client: Mistral) -> None:
    events = [one.data for one in client.fim.stream(model="auto", prompt=PROMPT, max_tokens=4)]
    reasons = [one.choices[0].finish_reason for one in events]
    assert reasons == [None] * (len(events) - 1) + ["length"]
    assert events[-1].usage.completion_tokens == 4


def test_models_tell_what_they_can_do(client: Mistral) -> None:
    models = {one.id: one.capabilities for one in client.models.list().data}
    assert models["smollm2-135m-instruct"].completion_chat
    assert not models["smollm2-135m-instruct"].completion_fim
    assert not models["firefox-en-pt"].completion_chat


def test_errors_are_the_clients_own(client: Mistral) -> None:
    with pytest.raises(SDKError) as missing:
        client.fim.complete(model="codestral-latest", prompt="x")
    assert missing.value.status_code == 404
    with pytest.raises(SDKError, match="random_seed"):
        client.fim.complete(model="auto", prompt="x", random_seed=1 << 64)
