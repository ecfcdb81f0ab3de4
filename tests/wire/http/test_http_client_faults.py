"""What clients make of faults: they wait as they are told, and notice a stream that breaks.

The faults are those of the fake engine, the clients are real.
"""

from __future__ import annotations

import asyncio
import time

import anthropic
import openai
import pytest

from hexkey.config import QueueConfig
from tests.wire.http.http_house import House, open_house

BODY = {"model": "acme/slow", "prompt": "x", "max_tokens": 150}


async def busy(house: House) -> asyncio.Task[object]:
    """Fill the one place there is, for 150 steps of 20 ms."""

    async def fill() -> object:
        async with house.client() as client:
            return await client.post("/v1/completions", json=BODY)

    task = asyncio.create_task(fill())
    await house.busy("acme/slow")
    return task


async def test_an_overload_is_tried_again_after_as_long_as_it_says() -> None:
    async with open_house(queue=QueueConfig(concurrency=1, max_requests=0)) as house:
        # Before the place is taken: it takes long to make one, and the place is free in 3 s.
        client = openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key="none", max_retries=5)
        first = await busy(house)
        begun = time.monotonic()
        answer = await client.completions.create(model="acme/slow", prompt="x", max_tokens=1)
        assert answer.choices[0].text
        assert time.monotonic() - begun >= 1
        await first


async def test_a_failure_that_would_only_repeat_itself_is_not_tried_again() -> None:
    async with open_house() as house:
        client = openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key="none", max_retries=5)
        with pytest.raises(openai.InternalServerError):
            await client.completions.create(model="coder", prompt="[[bug]]")
        outcomes = [
            sample.value
            for metric in house.service.metrics.requests.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        ]
        assert sum(outcomes) == 1


async def test_a_broken_stream_is_an_error_to_whoever_reads_it() -> None:
    async with open_house() as house:
        client = openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key="none", max_retries=0)
        for stream in (
            await client.completions.create(model="coder", prompt="[[exit]]", stream=True),
            await client.chat.completions.create(
                model="acme/slow", messages=[{"role": "user", "content": "[[exit]]"}], stream=True
            ),
        ):
            with pytest.raises(openai.APIError, match="process ended"):
                _ = [chunk async for chunk in stream]


async def test_a_broken_response_is_an_error() -> None:
    async with open_house() as house:
        client = openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key="none", max_retries=0)
        stream = await client.responses.create(model="coder", input="[[exit]]", stream=True)
        with pytest.raises(openai.APIError, match="process ended"):
            _ = [event async for event in stream]


async def test_a_broken_message_is_an_error() -> None:
    async with open_house() as house:
        client = anthropic.AsyncAnthropic(base_url=house.url, api_key="none", max_retries=0)
        stream = await client.messages.create(
            model="coder",
            max_tokens=9,
            messages=[{"role": "user", "content": "[[exit]]"}],
            stream=True,
        )
        with pytest.raises(anthropic.APIError, match="process ended"):
            _ = [event async for event in stream]
