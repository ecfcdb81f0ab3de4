"""``hexkey serve`` with a vllm model, asked with OpenAI's own SDK."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import psutil
import pytest
import yaml

from tests.e2e import conftest
from tests.vllm.conftest import OPTIONS


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, smollm_folder: Path
) -> Iterator[conftest.Served]:
    model = {
        "name": "smollm2",
        "engine": "vllm",
        "source": f"path:{smollm_folder}",
        "tasks": ["autocomplete", "chat"],
        "load_timeout_s": 600,
        "options": OPTIONS,
    }
    config = tmp_path_factory.mktemp("e2e") / "vllm.yaml"
    config.write_text(yaml.safe_dump({"models": [model]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conftest, "READY_S", 600.0)
        with conftest.serve(config) as served:
            assert served.http, "".join(served.out + served.log)
            yield served


@pytest.fixture
def client(served: conftest.Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.http}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_a_completion_streams_what_it_answers_whole(client: openai.OpenAI) -> None:
    whole = client.completions.create(
        model="smollm2", prompt="1, 2, 3, 4, 5,", max_tokens=16, temperature=0
    )
    assert whole.choices[0].text.startswith(" 6, 7, 8")
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 16
    chunks = list(
        client.completions.create(
            model="smollm2", prompt="1, 2, 3, 4, 5,", max_tokens=16, temperature=0, stream=True
        )
    )
    texts = [choice.text for chunk in chunks for choice in chunk.choices]
    assert "".join(texts) == whole.choices[0].text
    assert len([text for text in texts if text]) > 4


def test_a_chat_answers(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="chat",
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        max_tokens=24,
        temperature=0,
    )
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason in {"stop", "length"}


def test_vllms_own_metrics_are_passed_on_raw(
    client: openai.OpenAI, served: conftest.Served
) -> None:
    def scrape() -> dict[str, float]:
        lines = httpx.get(f"{served.http}/metrics/engines/smollm2").text.splitlines()
        assert all("vllm:" in line for line in lines if line)
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines if "#" not in line)
        }

    before = scrape()
    usage = client.completions.create(model="smollm2", prompt="Metrics are", max_tokens=9).usage
    assert usage is not None
    after = scrape()
    labels = '{engine="0",model_name="smollm2"}'
    for name, more in {
        f"vllm:generation_tokens_total{labels}": usage.completion_tokens,
        f"vllm:prompt_tokens_total{labels}": usage.prompt_tokens,
        f"vllm:time_to_first_token_seconds_count{labels}": 1,
        f"vllm:e2e_request_latency_seconds_count{labels}": 1,
    }.items():
        assert after[name] - before[name] == more, name
    assert after[f"vllm:num_requests_running{labels}"] == 0


def test_a_prompt_too_long_is_the_callers_mistake(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="at most 2047"):
        client.completions.create(model="smollm2", prompt="word " * 3000, max_tokens=4)


def test_sigterm_ends_everything(served: conftest.Served) -> None:
    children = served.children()
    assert len(children) >= 3
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(30) == 0
    _, alive = psutil.wait_procs(children, timeout=2)
    assert not alive
