"""Libraries over OpenAI's API: litellm and langchain-openai."""

from __future__ import annotations

from typing import Any

import litellm
import pytest
from langchain_openai import ChatOpenAI

from tests.e2e.conftest import Served

QUESTION = "What is the capital of France?"
MESSAGES = [{"role": "user", "content": QUESTION}]


@pytest.fixture(scope="module")
def options(quickstart: Served) -> dict[str, Any]:
    return {
        "model": "openai/chat",
        "api_base": f"{quickstart.http}/v1",
        "api_key": "none",
        "temperature": 0,
        "max_tokens": 30,
        "messages": MESSAGES,
        "num_retries": 0,
        "max_retries": 0,
    }


def test_litellm(options: dict[str, Any]) -> None:
    whole = litellm.completion(**options)
    assert "Paris" in whole.choices[0].message.content
    assert whole.usage.completion_tokens > 0
    chunks = list(litellm.completion(**options, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content


def test_litellm_reads_what_an_answer_cost(options: dict[str, Any]) -> None:
    answer = litellm.completion(**options)
    headers = answer._hidden_params["additional_headers"]
    assert float(headers["llm_provider-x-litellm-response-cost"]) > 0


def test_litellm_errors(options: dict[str, Any]) -> None:
    with pytest.raises(litellm.exceptions.NotFoundError, match="smollm2-135m-instruct"):
        litellm.completion(**options | {"model": "openai/gpt-9"})
    with pytest.raises(litellm.exceptions.BadRequestError):
        litellm.completion(**options | {"temperature": 9})


def test_langchain(quickstart: Served) -> None:
    chat = ChatOpenAI(model="chat", base_url=f"{quickstart.http}/v1", api_key="none", temperature=0)
    whole = chat.invoke(QUESTION)
    assert "Paris" in whole.content
    assert whole.usage_metadata["output_tokens"] > 0
    pieces = list(chat.stream(QUESTION))
    assert "".join(piece.content for piece in pieces) == whole.content
    batch = chat.batch([QUESTION, "What is the capital of Italy?"])
    assert ["Paris" in batch[0].content, "Rome" in batch[1].content] == [True, True]
