"""``hexkey serve`` with a vllm model, asked with OpenAI's own SDK."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import psutil
import pytest
import yaml

from tests.e2e import served as server
from tests.vllm import adapters
from tests.vllm.conftest import OPTIONS


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, smollm_folder: Path
) -> Iterator[server.Served]:
    model = {
        "name": "smollm2",
        "engine": "vllm",
        "source": f"path:{smollm_folder}",
        "tasks": ["autocomplete", "chat"],
        "load_timeout_s": 600,
        "options": OPTIONS,
    }
    folder = tmp_path_factory.mktemp("e2e")
    pirate = adapters.write(folder / "pirate", smollm_folder, seed=5)
    model["adapters"] = [{"name": "pirate", "source": f"path:{pirate}", "tasks": ["autocomplete"]}]
    config = folder / "vllm.yaml"
    config.write_text(yaml.safe_dump({"models": [model]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "READY_S", 600.0)
        with server.serve(config) as served:
            assert served.http, "".join(served.out + served.log)
            yield served


@pytest.fixture
def client(served: server.Served) -> Iterator[openai.OpenAI]:
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


def test_an_adapter_is_a_model_of_its_own(client: openai.OpenAI) -> None:
    assert [one.id for one in client.models.list()] == ["smollm2", "pirate"]
    base, own, again = (
        client.completions.create(model=name, prompt="1, 2, 3, 4, 5,", max_tokens=16, temperature=0)
        for name in ("smollm2", "pirate", "pirate")
    )
    assert base.model == "smollm2"
    assert own.model == "pirate"
    assert own.choices[0].text == again.choices[0].text != base.choices[0].text
    with pytest.raises(openai.BadRequestError, match="pirate"):
        client.chat.completions.create(model="pirate", messages=[{"role": "user", "content": "a"}])


def test_a_chat_answers(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="chat",
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        max_tokens=24,
        temperature=0,
    )
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason in {"stop", "length"}


def test_a_response_format_is_kept(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 99}},
        "required": ["n"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model="smollm2",
        messages=[{"role": "user", "content": "Say a number."}],
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
        max_tokens=64,
        temperature=0,
    )
    assert isinstance(json.loads(answer.choices[0].message.content or "")["n"], int)


def test_vllms_own_metrics_are_passed_on_raw(client: openai.OpenAI, served: server.Served) -> None:
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


def test_sigterm_ends_everything(served: server.Served) -> None:
    children = served.children()
    assert len(children) >= 3
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(30) == 0
    _, alive = psutil.wait_procs(children, timeout=2)
    assert not alive
