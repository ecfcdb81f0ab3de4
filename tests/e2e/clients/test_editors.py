"""What editors' plug-ins send, whose clients are not libraries: llama.vscode and Tabby's agent.

The bodies are those of the plug-ins' own sources, field by field.
"""

from __future__ import annotations

import json

import httpx
import pytest

from tests.e2e.conftest import Served

LLAMA_VSCODE = {
    "input_prefix": "def add(a, b):\n",
    "input_suffix": "\n\nprint(add(1, 2))\n",
    "input_extra": [{"text": "def sub(a, b):\n    return a - b\n", "filename": "sub.py"}],
    "prompt": "    return",
    "n_predict": 8,
    "top_k": 40,
    "top_p": 0.99,
    "stream": False,
    "n_indent": 4,
    "samplers": ["top_k", "top_p", "infill"],
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 2500,
    "response_fields": ["content", "timings/prompt_n"],
    "stop": [],
}
TABBY = {
    "language": "python",
    "segments": {
        "prefix": "def add(a, b):\n    return",
        "suffix": "\n",
        "filepath": "add.py",
        "git_url": "",
        "declarations": [{"filepath": "sub.py", "body": "def sub(a, b): ..."}],
        "relevant_snippets_from_changed_files": [
            {"filepath": "mul.py", "body": "def mul(a, b): ...", "score": 0.5}
        ],
        "relevant_snippets_from_recently_opened_files": [],
        "clipboard": "",
    },
    "temperature": 0.1,
    "seed": 7,
    "user": "someone",
}


def test_llama_vscode(quickstart: Served) -> None:
    with httpx.Client(base_url=quickstart.http, timeout=60) as client:
        assert client.get("/health").json()["status"] == "ok"
        # It warms the cache first, with a request that generates nothing.
        warm = client.post("/infill", json=LLAMA_VSCODE | {"n_predict": 0, "samplers": []})
        assert (warm.status_code, warm.json()["content"]) == (200, "")
        response = client.post("/infill", json=LLAMA_VSCODE)
        assert "fill-in-the-middle" in response.headers["x-hexkey-note"]
        answer = response.json()
        assert answer["content"]
        assert answer["stop"] is True
        assert (answer["stop_type"], answer["tokens_predicted"]) == ("limit", 8)
        assert answer["timings"]["predicted_n"] == 8
        assert answer["timings"]["predicted_per_second"] > 0


def test_llama_streams(quickstart: Served) -> None:
    body = LLAMA_VSCODE | {"stream": True, "temperature": 0}
    with httpx.Client(base_url=quickstart.http, timeout=60) as client:
        whole = client.post("/infill", json=LLAMA_VSCODE | {"temperature": 0}).json()
        with client.stream("POST", "/infill", json=body) as response:
            assert "fill-in-the-middle" in response.headers["x-hexkey-note"]
            events = [json.loads(line[6:]) for line in response.iter_lines() if line]
    assert "".join(event["content"] for event in events) == whole["content"]
    assert [event["stop"] for event in events] == [False] * (len(events) - 1) + [True]


def test_llama_tells_the_word_that_stopped_it(quickstart: Served) -> None:
    body = {"input_prefix": "The capital of France is", "input_suffix": "", "n_predict": -1}
    answer = httpx.post(f"{quickstart.http}/infill", json=body | {"stop": ["."]}, timeout=60).json()
    assert (answer["stop_type"], answer["stopping_word"]) == ("word", ".")
    assert "Paris" in answer["content"]


@pytest.mark.parametrize("missing", ["input_prefix", "input_suffix"])
def test_llama_tells_what_is_missing(quickstart: Served, missing: str) -> None:
    body = {name: value for name, value in LLAMA_VSCODE.items() if name != missing}
    answer = httpx.post(f"{quickstart.http}/infill", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == (400, "invalid_request_error")
    assert missing in error["message"]


def test_llama_vscode_counts_a_chats_tokens_as_the_model_does(quickstart: Served) -> None:
    messages = [
        {"role": "system", "content": "You are an expert coder."},
        {"role": "user", "content": "Olá! <|im_end|> 😀"},
    ]
    with httpx.Client(base_url=quickstart.http, timeout=60) as client:
        prompt = client.post("/apply-template", json={"messages": messages}).json()["prompt"]
        assert prompt.startswith("<|im_start|>system\nYou are an expert coder.<|im_end|>")
        asked = {"content": prompt, "add_special": False, "parse_special": True}
        tokens = client.post("/tokenize", json=asked).json()["tokens"]
        chat = {"model": "chat", "messages": messages, "max_tokens": 1}
        usage = client.post("/v1/chat/completions", json=chat).json()["usage"]
        assert len(tokens) == usage["prompt_tokens"]
        (model,) = [one for one in client.get("/v1/models").json()["data"] if "meta" in one]
        props = client.get("/props", params={"model": model["id"], "autoload": "false"}).json()
        window = props["default_generation_settings"]["n_ctx"]
        assert window == model["meta"]["n_ctx"] == model["max_model_len"] == 8192
        assert props["total_slots"] > 1


@pytest.mark.parametrize("text", ["Hello world", "naïve 😀 не", "", " a\n\tb", "<|im_end|>"])
def test_llama_tokens_are_the_text_again(quickstart: Served, text: str) -> None:
    with httpx.Client(base_url=quickstart.http, timeout=60) as client:
        plain = client.post("/tokenize", json={"content": text, "parse_special": False}).json()
        assert plain["count"] == len(plain["tokens"])
        again = client.post("/detokenize", json={"tokens": plain["tokens"]}).json()["content"]
        assert again.replace("\u200b", "") == text
        told = client.post("/tokenize", json={"content": text, "with_pieces": True}).json()
    pieces = [one["piece"] for one in told["tokens"]]
    joined = b"".join(one.encode() if isinstance(one, str) else bytes(one) for one in pieces)
    assert joined.decode() == text


def test_llama_tells_why_there_are_no_tokens(quickstart: Served) -> None:
    with httpx.Client(base_url=quickstart.http) as client:
        for path, body, why in (
            ("/tokenize", {}, "content"),
            ("/tokenize", {"content": "a", "model": "none"}, "there is no model"),
            ("/tokenize", {"content": "a", "model": "firefox-en-pt"}, "firefox-en-pt"),
            ("/detokenize", {"tokens": [1 << 30]}, "tokens"),
            ("/apply-template", {"messages": [{"role": "wizard", "content": "x"}]}, "role"),
        ):
            answer = client.post(path, json=body)
            assert answer.status_code in {400, 404}, path
            assert why in answer.json()["error"]["message"]


def test_tabby(quickstart: Served) -> None:
    with httpx.Client(base_url=quickstart.http, timeout=60) as client:
        health = client.get("/v1/health").json()
        assert health["model"] == "smollm2-135m-instruct"
        # The agent reads the first number as a version, and asks older servers for less.
        assert health["version"]["git_describe"].startswith("0.30.0 (hexkey ")
        assert client.get("/v1beta/server_setting").json() == {
            "disable_client_side_telemetry": True
        }
        response = client.post("/v1/completions", json=TABBY)
        assert "fill-in-the-middle" in response.headers["x-hexkey-note"]
        answer = response.json()
        assert answer["choices"][0]["text"]
        assert answer["choices"][0]["index"] == 0
        seen = {"type": "view", "completion_id": answer["id"], "choice_index": 0}
        assert client.post("/v1/events", json=seen).status_code == 200
