"""One table of cases over both wires of one running server: same answers, same errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import inference_pb2_grpc as pb_grpc
from hexkey.wire.grpc.errors import STATUS
from hexkey.wire.http.errors import TABLE
from tests.e2e.conftest import Served

STORY = "Once upon a time, in a small village by the sea,"
NEWS = ["The weather is nice today.", "Two sentences. In one text, {name}!", "12345"]
TALK = [{"role": "user", "content": "What is the capital of France?"}]


@dataclass(frozen=True)
class Answer:
    """What a caller gets, whichever way it came."""

    texts: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    model: str = ""
    notes: tuple[str, ...] = ()
    usage: tuple[int, int, int] = (0, 0, 0)
    error: tuple[str, str | None] | None = None
    status: tuple[int, str] | None = None


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "line": ("autocomplete", {"prefix": STORY, "stop_rule": "line", "max_tokens": 24}),
    "sentence": ("autocomplete", {"prefix": "My name is", "stop_rule": "sentence"}),
    "block": (
        "autocomplete",
        {"prefix": "def mean(values):\n    ", "stop_rule": "block", "max_tokens": 60},
    ),
    "length": ("autocomplete", {"prefix": STORY, "max_tokens": 5}),
    "several": ("autocomplete", {"prefix": STORY, "max_tokens": 6, "n": 3}),
    "seeded": (
        "autocomplete",
        {"prefix": STORY, "max_tokens": 8, "n": 2, "temperature": 0.8, "seed": 3},
    ),
    "stop string": ("autocomplete", {"prefix": STORY, "max_tokens": 40, "stop": ["."]}),
    "suffix unread": ("autocomplete", {"prefix": STORY, "suffix": " The end.", "max_tokens": 8}),
    "by model": (
        "autocomplete",
        {"prefix": "Übung macht den", "model": "smollm2-135m-instruct", "max_tokens": 4},
    ),
    "translate": ("translate", {"text": NEWS, "source": "en", "target": "pt"}),
    "translate back": ("translate", {"text": ["Bom dia."], "source": "PT-br", "target": "EN"}),
    "source by target": ("translate", {"text": ["Good morning."], "target": "pt"}),
    "chat": ("chat", {"messages": TALK, "max_tokens": 12, "temperature": 0}),
    "empty prefix": ("autocomplete", {"prefix": ""}),
    "no room": ("autocomplete", {"prefix": "a", "max_tokens": 0}),
    "too many": ("autocomplete", {"prefix": "a", "n": 17}),
    "too hot": ("autocomplete", {"prefix": "a", "temperature": 2.5}),
    "too long a prompt": ("autocomplete", {"prefix": "word " * 9000}),
    "too many characters": ("autocomplete", {"prefix": "x" * 400_001}),
    "unknown model": ("autocomplete", {"prefix": "a", "model": "gpt-9"}),
    "wrong task": ("autocomplete", {"prefix": "a", "model": "firefox-en-pt"}),
    "empty text": ("translate", {"text": [" "], "source": "en", "target": "pt"}),
    "no text": ("translate", {"text": [], "source": "en", "target": "pt"}),
    "unknown pair": ("translate", {"text": ["a"], "source": "en", "target": "xx"}),
    "no target": ("translate", {"text": ["a"], "source": "en"}),
    "no messages": ("chat", {"messages": []}),
    "unknown role": ("chat", {"messages": [{"role": "wizard", "content": "a"}]}),
    "late": ("autocomplete", {"prefix": STORY, "max_tokens": 2000, "timeout": 0.25}),
}
PATHS = {
    "autocomplete": "/v1/autocomplete",
    "translate": "/v1/translate",
    "chat": "/v1/chat/completions",
}
MESSAGES = {
    "autocomplete": pb.AutocompleteRequest,
    "translate": pb.TranslateRequest,
    "chat": pb.ChatRequest,
}


@pytest.fixture(scope="module")
def stub(quickstart: Served) -> Iterator[pb_grpc.InferenceServiceStub]:
    with grpc.insecure_channel(quickstart.grpc) as channel:
        yield pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]


def over_http(served: Served, task: str, body: dict[str, Any], *, stream: bool) -> Answer:
    body = dict(body)
    headers = {}
    if timeout := body.pop("timeout", None):
        headers["x-request-timeout-ms"] = str(int(timeout * 1000))
    if task == "chat":
        body = {"model": "auto", **body}
    url = served.http + PATHS[task]
    if stream and task != "chat":
        return _sse(httpx.post(url, json={**body, "stream": True}, headers=headers, timeout=60))
    answer = httpx.post(url, json=body, headers=headers, timeout=60)
    said = answer.json()
    if answer.status_code != 200:
        return _http_error(answer.status_code, said["error"])
    outputs = said.get("choices") or said["translations"]
    texts = [one["message"]["content"] if "message" in one else one["text"] for one in outputs]
    usage = said["usage"]
    names = ("prompt_tokens", "completion_tokens") if task == "chat" else _OURS
    return Answer(
        tuple(texts),
        tuple(one.get("finish_reason", "stop") for one in outputs),
        said["model"],
        tuple(said.get("notes", ())),
        (usage[names[0]], usage[names[1]], usage.get("input_characters", 0)),
    )


_OURS = ("input_tokens", "output_tokens")


def _sse(answer: httpx.Response) -> Answer:
    if answer.status_code != 200:
        return _http_error(answer.status_code, answer.json()["error"])
    start: dict[str, Any] = {}
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    for line in answer.text.split("\n\n"):
        if not line.startswith("data: {"):
            continue
        event = json.loads(line.removeprefix("data: "))
        if "error" in event:
            return _http_error(0, event["error"])
        if "start" in event:
            start = event["start"]
        elif "delta" in event:
            index = event["delta"]["index"]
            texts[index] = texts.get(index, "") + event["delta"]["text"]
        elif "finish" in event:
            reasons[event["finish"]["index"]] = event["finish"]["reason"]
            texts.setdefault(event["finish"]["index"], "")
        else:
            usage = event["usage"]
    return Answer(
        tuple(texts[index] for index in sorted(texts)),
        tuple(reasons[index] for index in sorted(reasons)),
        start["model"],
        tuple(start["notes"]),
        (usage["input_tokens"], usage["output_tokens"], usage["input_characters"]),
    )


def _http_error(status: int, error: dict[str, Any]) -> Answer:
    return Answer(error=(error["message"], error["param"]), status=(status, error["code"]))


def over_grpc(
    stub: pb_grpc.InferenceServiceStub, task: str, body: dict[str, Any], *, stream: bool
) -> Answer:
    body = dict(body)
    timeout = body.pop("timeout", 60)
    if "stop_rule" in body:
        body["stop_rule"] = f"STOP_RULE_{body['stop_rule'].upper()}"
    message = json_format.ParseDict(body, MESSAGES[task]())
    name = task.capitalize()
    try:
        if stream:
            return _events(getattr(stub, f"Stream{name}")(message, timeout=timeout))
        said = getattr(stub, name)(message, timeout=timeout)
    except grpc.RpcError as error:
        return _grpc_error(error)
    if task == "translate":
        outputs = said.translations
        reasons: tuple[str, ...] = ("stop",) * len(outputs)
        texts = [one.text for one in outputs]
    else:
        outputs = said.choices
        reasons = tuple(_reason(one.finish_reason) for one in outputs)
        texts = [one.message.content if task == "chat" else one.text for one in outputs]
    usage = said.usage
    return Answer(
        tuple(texts),
        reasons,
        said.model,
        tuple(said.notes),
        (usage.input_tokens, usage.output_tokens, usage.input_characters),
    )


def _reason(number: int) -> str:
    return pb.FinishReason.Name(number).removeprefix("FINISH_REASON_").lower()


def _events(events: Iterator[pb.StreamEvent]) -> Answer:
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    start, usage = pb.Start(), pb.Usage()
    for event in events:
        which = event.WhichOneof("event")
        if which == "start":
            start = event.start
        elif which == "delta":
            texts[event.delta.index] = texts.get(event.delta.index, "") + event.delta.text
        elif which == "finish":
            reasons[event.finish.index] = _reason(event.finish.reason)
            texts.setdefault(event.finish.index, "")
        else:
            usage = event.usage
    return Answer(
        tuple(texts[index] for index in sorted(texts)),
        tuple(reasons[index] for index in sorted(reasons)),
        start.model,
        tuple(start.notes),
        (usage.input_tokens, usage.output_tokens, usage.input_characters),
    )


def _grpc_error(error: Any) -> Answer:
    status = rpc_status.from_call(error)
    param, reason = None, ""
    for detail in status.details if status else ():
        violation, info = error_details_pb2.BadRequest(), error_details_pb2.ErrorInfo()
        if detail.Unpack(violation):
            param = violation.field_violations[0].field
        elif detail.Unpack(info):
            reason = info.reason
    return Answer(error=(error.details(), param), status=(error.code().value[0], reason.lower()))


def same_error(http: Answer, rpc: Answer) -> None:
    assert http.status
    assert rpc.status
    codes = {code for code, row in TABLE.items() if row.status == http.status[0]}
    assert rpc.status[0] in {STATUS[code].value[0] for code in codes} or not http.status[0]


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("name", list(CASES))
def test_both_wires_say_the_same(
    quickstart: Served, stub: pb_grpc.InferenceServiceStub, name: str, *, stream: bool
) -> None:
    task, body = CASES[name]
    http = over_http(quickstart, task, body, stream=stream)
    rpc = over_grpc(stub, task, body, stream=stream)
    if http.error or rpc.error:
        same_error(http, rpc)
        if name != "late":  # a gRPC client tells its own deadline in its own words
            assert http.error == rpc.error
            assert http.status
            assert rpc.status
            assert http.status[1] == rpc.status[1]
        return
    if task == "chat":  # OpenAI's shape counts no characters
        assert (http.texts, http.reasons, http.model) == (rpc.texts, rpc.reasons, rpc.model)
        assert http.usage[:2] == rpc.usage[:2]
        return
    assert http == rpc
    assert http.model


def test_a_stream_says_what_the_unary_call_says(
    quickstart: Served, stub: pb_grpc.InferenceServiceStub
) -> None:
    for task, body in (CASES[name] for name in ("sentence", "block", "several", "translate")):
        whole = over_grpc(stub, task, body, stream=False)
        assert over_grpc(stub, task, body, stream=True) == whole
        assert over_http(quickstart, task, body, stream=True) == whole


def test_the_table_has_answers_and_errors(quickstart: Served) -> None:
    errors = [
        name
        for name, (task, body) in CASES.items()
        if over_http(quickstart, task, body, stream=False).error
    ]
    assert len(errors) == 15
    assert len(CASES) - len(errors) == 13
