"""OpenAI's newer API by its own client: responses, and the events by which they grow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.conftest import Served

ASK: dict[str, Any] = {
    "model": "chat",
    "input": "What is the capital of France?",
    "instructions": "You answer in one sentence.",
    "temperature": 0,
}


@pytest.fixture(scope="module")
def client(quickstart: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{quickstart.http}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_a_response(client: openai.OpenAI) -> None:
    response = client.responses.create(**ASK)
    assert "Paris" in response.output_text
    assert response.status == "completed"
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


def test_its_events_are_numbered_and_end_with_the_whole(client: openai.OpenAI) -> None:
    whole = client.responses.create(**ASK)
    events: list[Any] = list(client.responses.create(**ASK, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * len(deltas),
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert "".join(deltas) == whole.output_text
    assert events[-1].response.output_text == whole.output_text
    assert len({event.item_id for event in events if hasattr(event, "item_id")}) == 1


def test_the_clients_own_accumulator_takes_them(client: openai.OpenAI) -> None:
    with client.responses.stream(**ASK) as stream:
        final = stream.get_final_response()
    assert "Paris" in final.output_text


def test_a_response_that_is_cut_says_so(client: openai.OpenAI) -> None:
    cut = client.responses.create(**ASK, max_output_tokens=2)
    assert cut.status == "incomplete"
    assert cut.incomplete_details is not None
    assert cut.incomplete_details.reason == "max_output_tokens"
    events = list(client.responses.create(**ASK, max_output_tokens=2, stream=True))
    assert events[-1].type == "response.incomplete"


def test_a_conversation(client: openai.OpenAI) -> None:
    turns: Any = [
        {"role": "user", "content": [{"type": "input_text", "text": "My name is Ada."}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Hello, Ada!"}]},
        {"role": "user", "content": "What is my name?"},
    ]
    response = client.responses.create(model="chat", input=turns, temperature=0)
    assert "Ada" in response.output_text


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": 9}, "temperature"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"text": {"format": {"type": "json_object"}}}, "text.format.type"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_not_served_is_refused(
    client: openai.OpenAI, options: dict[str, Any], param: str, *, stream: bool
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(**ASK | options, stream=stream)
    assert refused.value.param == param
