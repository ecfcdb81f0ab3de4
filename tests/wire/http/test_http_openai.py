from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest
import pytest_asyncio

from hexkey.engines.fake import CONTEXT_TOKENS
from tests.wire.http.http_house import open_house

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.wire.http.http_house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")
# An openai.AsyncOpenAI: its overloads have no type for what is passed wrongly on purpose.
Client = Any
IMAGE = [{"type": "image_url", "image_url": {"url": "data:,"}}]
HELLO = [{"role": "user", "content": "Hello there"}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(house: House) -> AsyncIterator[Client]:
    async with openai.AsyncOpenAI(
        base_url=f"{house.url}/v1", api_key="none", max_retries=0
    ) as opened:
        yield opened


async def test_completion(client: Client) -> None:
    answer = await client.completions.create(model="coder", prompt="one two three", max_tokens=4)
    assert answer.id.startswith("cmpl-")
    assert (answer.object, answer.model) == ("text_completion", "coder")
    assert answer.choices[0].text == "w0 w1 w2 w3 "
    assert answer.choices[0].finish_reason == "length"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 4)
    assert answer.usage.total_tokens == 7


async def test_completion_has_openais_default_of_16_tokens(client: Client) -> None:
    answer = await client.completions.create(model="coder", prompt="one")
    assert answer.usage.completion_tokens == 16


async def test_completion_stream(client: Client) -> None:
    stream = await client.completions.create(
        model="coder", prompt="one", max_tokens=4, n=2, stream=True
    )
    chunks = [chunk async for chunk in stream]
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None and len(chunk.choices) == 1 for chunk in chunks)
    for index in (0, 1):
        choices = [chunk.choices[0] for chunk in chunks if chunk.choices[0].index == index]
        assert "".join(choice.text for choice in choices) == "w0 w1 w2 w3 "
        assert [c.finish_reason for c in choices if c.finish_reason] == ["length"]


async def test_stream_with_usage(client: Client) -> None:
    stream = await client.completions.create(
        model="coder",
        prompt="one two",
        max_tokens=3,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices == []
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (2, 3)
    assert all(chunk.usage is None for chunk in chunks[:-1])


@pytest.mark.parametrize("stream", [False, True])
async def test_several_prompts(client: Client, stream: bool) -> None:  # noqa: FBT001
    options = {"stream_options": {"include_usage": True}} if stream else {}
    answer = await client.completions.create(
        model="coder", prompt=["a", "b c"], n=2, max_tokens=2, stream=stream, echo=True, **options
    )
    chunks = [chunk async for chunk in answer] if stream else [answer]
    texts = dict.fromkeys(range(4), "")
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert list(texts.values()) == ["aw0 w1 ", "aw0 w1 ", "b cw0 w1 ", "b cw0 w1 "]
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (3, 8)


@pytest.mark.parametrize(
    ("prompt", "tokens"), [([1, 2, 3], 3), ([[1, 2], [3, 4, 5]], 5), ("a b", 2), (["a", "b"], 2)]
)
async def test_kinds_of_prompt(client: Client, prompt: str | list[int], tokens: int) -> None:
    answer = await client.completions.create(model="coder", prompt=prompt, max_tokens=1)
    assert answer.usage.prompt_tokens == tokens


async def test_one_bad_prompt_of_several_fails_all(client: Client, house: House) -> None:
    with pytest.raises(openai.BadRequestError):
        await client.completions.create(
            model="acme/slow", prompt=["a", "[[refuse]]"], max_tokens=5000
        )
    assert await house.idle("acme/slow", 10)


async def test_chat(client: Client) -> None:
    answer = await client.chat.completions.create(
        model="coder", messages=HELLO, max_completion_tokens=3, n=2
    )
    assert answer.id.startswith("chatcmpl-")
    assert answer.object == "chat.completion"
    assert [choice.index for choice in answer.choices] == [0, 1]
    message = answer.choices[1].message
    assert (message.role, message.content) == ("assistant", "w0 w1 w2 ")
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.total_tokens == 2 + 6


async def test_chat_stream(client: Client) -> None:
    stream = await client.chat.completions.create(
        model="coder",
        messages=HELLO,
        max_tokens=3,
        n=2,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].usage.completion_tokens == 6
    for index in (0, 1):
        choices = [c for chunk in chunks for c in chunk.choices if c.index == index]
        assert choices[0].delta.role == "assistant"
        assert [c.delta.role for c in choices[1:]] == [None] * (len(choices) - 1)
        assert "".join(c.delta.content or "" for c in choices) == "w0 w1 w2 "
        assert [c.finish_reason for c in choices if c.finish_reason] == ["length"]


async def test_the_sdks_own_stream_helper(client: Client) -> None:
    async with client.chat.completions.stream(
        model="coder", messages=HELLO, max_tokens=3
    ) as stream:
        pieces = [event.delta async for event in stream if event.type == "content.delta"]
    assert "".join(pieces) == "w0 w1 w2 "


async def test_content_parts_and_the_developer_role(client: Client) -> None:
    parts = [{"type": "text", "text": "Hello "}, {"type": "text", "text": "there"}]
    answer = await client.chat.completions.create(
        model="coder",
        messages=[{"role": "developer", "content": "Be brief"}, {"role": "user", "content": parts}],
        max_tokens=1,
    )
    assert answer.usage.prompt_tokens == 4


@pytest.mark.parametrize("model", ["auto", "chat", "autocomplete", "coder"])
async def test_a_task_names_a_model(client: Client, model: str) -> None:
    answer = await client.chat.completions.create(model=model, messages=HELLO, max_tokens=1)
    assert answer.model == "coder"


@pytest.mark.parametrize("stream", [False, True])
async def test_unknown_model(client: Client, stream: bool) -> None:  # noqa: FBT001
    with pytest.raises(openai.NotFoundError) as caught:
        await client.completions.create(model="gpt-9", prompt="x", stream=stream)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert "coder" in caught.value.message


def fitting(schema: object) -> dict[str, object]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"temperature": 3.0}, "temperature"),
        ({"n": 0}, "n"),
        ({"n": "two"}, "n"),
        ({"max_tokens": -2}, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"logprobs": True, "top_logprobs": 2}, "top_logprobs"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        ({"response_format": fitting({"pattern": "x"})}, "response_format"),
        # The fake engine writes what it is told to.
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": IMAGE}]}, "messages[0].content[0].type"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
async def test_bad_values_are_400_and_name_the_field(
    client: Client,
    options: dict[str, object],
    param: str,
    stream: bool,  # noqa: FBT001
) -> None:
    arguments = {"model": "coder", "messages": HELLO, "stream": stream, **options}
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(**arguments)
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1, "a"]}, "prompt"),
        ({"prompt": [-1]}, "prompt[0]"),
        ({"prompt": "x" * 400_001}, "prompt"),
        ({"prompt": ["x"] * 65}, "prompt"),
        ({"prompt": [1], "echo": True}, "echo"),
        ({"echo": True, "logprobs": 1}, "echo"),
        ({"logprobs": 5}, "logprobs"),
        ({"best_of": 3}, "best_of"),
    ],
)
async def test_bad_completions(client: Client, options: dict[str, object], param: str) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        await client.completions.create(**{"model": "coder", "prompt": "x", **options})
    assert caught.value.status_code in {400, 413}
    assert caught.value.param == param


async def test_a_refusal_of_the_engine_comes_before_the_stream(client: Client) -> None:
    for prompt in ("[[refuse]]", "t " * 9000):
        with pytest.raises(openai.BadRequestError):
            await client.completions.create(model="coder", prompt=prompt, stream=True)


async def test_leaving_a_stream_frees_the_engine(client: Client, house: House) -> None:
    stream = await client.chat.completions.create(
        model="acme/slow", messages=HELLO, max_tokens=5000, stream=True
    )
    async for _chunk in stream:
        break
    assert house.running("acme/slow") == 1
    await stream.close()
    assert await house.idle("acme/slow", 10)


async def test_models(client: Client) -> None:
    assert [model.id async for model in client.models.list()] == [
        "coder",
        "acme/slow",
        "interpreter",
        "reader",
        "listener",
    ]
    model = await client.models.retrieve("acme/slow")
    assert (model.id, model.object, model.owned_by) == ("acme/slow", "model", "hexkey")
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("gpt-9")


async def test_as_many_tokens_as_fit_are_what_llama_cpps_clients_ask_for() -> None:
    async with (
        open_house(tokens_per_step=512) as house,
        openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key="none", max_retries=0) as opened,
    ):
        client: Client = opened
        said = await client.chat.completions.create(model="coder", messages=HELLO, max_tokens=-1)
        assert said.usage.completion_tokens == CONTEXT_TOKENS
        assert said.choices[0].finish_reason == "length"
        written = await client.completions.create(model="coder", prompt="a", max_tokens=-1)
        assert written.usage.completion_tokens == CONTEXT_TOKENS
        with pytest.raises(openai.BadRequestError, match="max_tokens"):
            await client.completions.create(model="coder", prompt="a", max_tokens=-2)
