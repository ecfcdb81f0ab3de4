"""``hexkey serve`` with a vllm model, asked with OpenAI's own SDK."""

from __future__ import annotations

import concurrent.futures
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import openai
import psutil
import pytest
import yaml
from openai.types.chat import ChatCompletionMessageParam

from hexkey import cli
from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import inference_pb2_grpc as pb_grpc
from tests.e2e import served as server
from tests.vllm import adapters
from tests.vllm.conftest import OPTIONS
from tests.waiting import until


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, smollm_folder: Path, minilm: Path
) -> Iterator[server.Served]:
    reader = {
        "name": "minilm",
        "engine": "vllm",
        "source": f"path:{minilm}",
        "tasks": ["embed"],
        "load_timeout_s": 600,
        "options": {"dtype": "float32", "kv_cache_gib": 0.1, "max_num_seqs": 16},
    }
    model = {
        "name": "smollm2",
        "engine": "vllm",
        "source": f"path:{smollm_folder}",
        "tasks": ["autocomplete", "chat", "translate"],
        "pairs": ["en-pt"],
        "load_timeout_s": 600,
        "options": OPTIONS,
    }
    folder = tmp_path_factory.mktemp("e2e")
    pirate = adapters.write(folder / "pirate", smollm_folder, seed=5)
    model["adapters"] = [{"name": "pirate", "source": f"path:{pirate}", "tasks": ["autocomplete"]}]
    config = folder / "vllm.yaml"
    config.write_text(yaml.safe_dump({"models": [model, reader]}))
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
    assert [one.id for one in client.models.list()] == ["smollm2", "pirate", "minilm"]
    base, own, again = (
        client.completions.create(model=name, prompt="1, 2, 3, 4, 5,", max_tokens=16, temperature=0)
        for name in ("smollm2", "pirate", "pirate")
    )
    assert base.model == "smollm2"
    assert own.model == "pirate"
    assert own.choices[0].text == again.choices[0].text != base.choices[0].text
    with pytest.raises(openai.BadRequestError, match="pirate"):
        client.chat.completions.create(model="pirate", messages=[{"role": "user", "content": "a"}])


def test_an_adapter_is_unloaded_and_loaded_while_its_base_serves(
    client: openai.OpenAI, served: server.Served, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(model: str) -> str:
        asked = client.completions.create(
            model=model, prompt="A, B, C,", max_tokens=8, temperature=0
        )
        return asked.choices[0].text

    def command(name: str, *arguments: str) -> str:
        assert cli.main([name, *arguments, "--server", served.http]) == 0
        return capsys.readouterr().out

    def states() -> dict[str, str]:
        rows = command("models").splitlines()[1:]
        return {row.split()[0]: row.split()[1] for row in rows}

    own, children = ask("pirate"), served.children()
    assert "pirate is unloaded" in command("unload", "pirate")
    assert states() == {"smollm2": "ready", "pirate": "stopped", "minilm": "ready"}
    assert ask("smollm2") != own
    assert "pirate serves" in command("load", "pirate")
    assert states() == {"smollm2": "ready", "pirate": "ready", "minilm": "ready"}
    command("unload", "pirate")
    assert ask("pirate") == own  # a request loads it again, too
    assert states()["pirate"] == "ready"
    assert served.children() == children


def test_a_chat_answers(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="chat",
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        max_tokens=24,
        temperature=0,
    )
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason in {"stop", "length"}


TEXT = "  Good morning, {name}!\n\n\t- I have 5 apples.\nhttps://example.org/a 12345\n"


def test_a_translation_keeps_what_is_no_language_the_same_over_both_wires(
    served: server.Served,
) -> None:
    """SmolLM2 hardly knows Portuguese: this is of the form of an answer and not of its words."""
    given = [TEXT, "12345", "The sea."]
    asked = {"text": given, "source": "en", "target": "pt"}
    request = pb.TranslateRequest(text=given, source="en", target="pt")
    answer = httpx.post(f"{served.http}/v1/translate", json=asked, timeout=60).json()
    texts = [one["text"] for one in answer["translations"]]
    first, *_, last = texts[0].split("\n")
    assert texts[0].startswith("  ")
    assert not first[2:].startswith(" ")
    assert first.count("{name}") == 1
    assert [line[:3] for line in texts[0].split("\n")][1:3] == ["", "\t- "]
    assert texts[0].endswith("\nhttps://example.org/a 12345\n")
    assert last == ""
    assert texts[1] == "12345"
    assert texts[2].strip()
    assert "\n" not in texts[2]
    assert answer["usage"]["input_characters"] == sum(map(len, given))
    with grpc.insecure_channel(served.grpc) as channel:
        stub = pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        told = stub.Translate(request, timeout=60)
        streamed = stub.StreamTranslate(request, timeout=60)
        pieces = [event.delta for event in streamed if event.HasField("delta")]
    assert [one.text for one in told.translations] == texts
    joined = ["".join(one.text for one in pieces if one.index == at) for at in range(3)]
    assert joined == texts


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


def test_tokens_are_told_and_counted_alike(client: openai.OpenAI, served: server.Served) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Olá 😀 <|im_end|>"}]
    asked = httpx.post(f"{served.http}/apply-template", json={"messages": messages})
    told = httpx.post(f"{served.http}/tokenize", json={"content": asked.json()["prompt"]}).json()
    answer = client.chat.completions.create(
        model="smollm2", messages=messages, max_tokens=20, extra_body={"ignore_eos": True}
    )
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == told["count"]
    assert answer.usage.completion_tokens == 20
    assert told["max_model_len"] == OPTIONS["max_model_len"]
    text = httpx.post(f"{served.http}/detokenize", json={"tokens": told["tokens"][-3:]}).json()
    assert text["content"]


def test_a_prompt_too_long_is_the_callers_mistake(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="at most 2047"):
        client.completions.create(model="smollm2", prompt="word " * 3000, max_tokens=4)


def test_for_who_hangs_up_the_core_computes_no_longer(served: server.Served) -> None:
    """The scheduler's own account tells of each step, also of those for the cancelled."""

    def steps() -> float:
        lines = httpx.get(f"{served.http}/metrics").text.splitlines()
        name = 'hexkey_engine_step_seconds_count{model="smollm2"}'
        return next(float(line.split()[-1]) for line in lines if line.startswith(name))

    def still() -> bool:
        before = steps()
        time.sleep(0.5)
        return steps() == before

    begun = steps()
    body = {"model": "smollm2", "prompt": "1, 2, 3,", "max_tokens": 1500, "min_tokens": 1500}
    body |= {"temperature": 0, "stream": True}
    with httpx.stream("POST", f"{served.http}/v1/completions", json=body, timeout=60) as answer:
        lines = answer.iter_lines()  # kept: httpx hangs up once nobody holds it
        next(lines)
        assert not still()
    until(still, 20)
    assert steps() - begun < 1000


def core_of(host: psutil.Process) -> psutil.Process:
    (core,) = (one for one in host.children(recursive=True) if "EngineCore" in one.cmdline()[0])
    return core


def test_a_killed_core_ends_its_streams_with_an_error_and_no_other_model_notices(
    client: openai.OpenAI, served: server.Served
) -> None:
    core, other = (core_of(served.host_of(model)) for model in ("smollm2", "minilm"))
    body = {"model": "smollm2", "prompt": "1, 2, 3,", "max_tokens": 1500, "stream": True}
    body["ignore_eos"] = True  # or one drawn by chance ends a stream before the core is killed
    with (
        concurrent.futures.ThreadPoolExecutor(4) as threads,
        httpx.Client(base_url=served.http, timeout=60) as http,
    ):
        begun, ended = threading.Barrier(5), []

        def read() -> str:
            with http.stream("POST", "/v1/completions", json=body) as answer:
                lines = answer.iter_lines()
                next(lines)
                begun.wait(60)
                last = [line for line in lines if line][-1]
            ended.append(time.monotonic())
            return last

        streams = [threads.submit(read) for _ in range(4)]
        begun.wait(60)
        core.kill()
        killed = time.monotonic()
        # While the one is started anew, the other answers.
        vector = client.embeddings.create(model="minilm", input="a", encoding_format="float")
        assert len(vector.data[0].embedding) == 384
        lasts = [stream.result(60) for stream in streams]
    assert all("error" in json.loads(last.removeprefix("data: ")) for last in lasts)
    assert max(ended) - killed < 1
    assert other.is_running()
    # A start may take longer than a request waits for one.
    patient = client.with_options(max_retries=20)
    again = patient.completions.create(model="smollm2", prompt="1, 2, 3,", max_tokens=4)
    assert again.usage is not None
    assert other.is_running()


def test_sigterm_ends_everything(served: server.Served) -> None:
    children = served.children()
    assert len(children) >= 3
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(30) == 0
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
