"""Lists whose texts are in several languages, none of them said: each answer names its own."""

from __future__ import annotations

import json
from collections.abc import Iterator

import deepl
import grpc
import httpx
import pytest

from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import inference_pb2_grpc as rpc
from tests.e2e.conftest import Served, serve

CONFIG = """
models:
  - {name: en-pt, engine: fake, tasks: [translate], pairs: [en-pt]}
  - {name: es-pt, engine: fake, tasks: [translate], pairs: [es-pt]}
  - {name: de-pt, engine: fake, tasks: [translate], pairs: [de-pt]}
"""
TEXTS = [
    "The weather is nice today.",
    "¿Dónde está la biblioteca municipal?",
    "OK",  # tells nothing, so it is in the language of most
    "Wie geht es dir heute?",
    "Where is the railway station?",
]
SOURCES = ["en", "es", "en", "de", "en"]
UPPER = [text.upper() for text in TEXTS]  # which is how the fake translates


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    config = tmp_path_factory.mktemp("polyglot") / "config.yaml"
    config.write_text(CONFIG)
    with serve(config) as served:
        assert served.http, "".join(served.out + served.log)
        yield served


def test_deepl(served: Served) -> None:
    client = deepl.DeepLClient("none", server_url=served.http)
    answers = client.translate_text(TEXTS, target_lang="PT-BR")
    assert isinstance(answers, list)
    assert [one.text for one in answers] == UPPER
    assert [one.detected_source_lang for one in answers] == [code.upper() for code in SOURCES]


def test_libretranslate(served: Served) -> None:
    body = {"q": TEXTS, "source": "auto", "target": "pt"}
    answer = httpx.post(f"{served.http}/translate", json=body).json()
    assert answer["translatedText"] == UPPER
    assert [one["language"] for one in answer["detectedLanguage"]] == SOURCES


def test_own_api_over_both_wires(served: Served) -> None:
    body = {"text": TEXTS, "target": "pt"}
    answer = httpx.post(f"{served.http}/v1/translate", json=body).json()
    assert [one["text"] for one in answer["translations"]] == UPPER
    assert [one["source"] for one in answer["translations"]] == SOURCES
    assert answer["detected_source"] == "en"
    with grpc.insecure_channel(served.grpc) as channel:
        stub = rpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        said = stub.Translate(pb.TranslateRequest(text=TEXTS, target="pt"))
    assert [(one.text, one.source) for one in said.translations] == list(
        zip(UPPER, SOURCES, strict=True)
    )
    assert said.usage.input_characters == answer["usage"]["input_characters"]


def test_streams_over_both_wires(served: Served) -> None:
    texts, sources = [""] * len(TEXTS), []
    body = {"text": TEXTS, "target": "pt", "stream": True}
    with httpx.stream("POST", f"{served.http}/v1/translate", json=body) as response:
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    for line in lines[:-1]:
        event = json.loads(line)
        sources += event.get("start", {}).get("detected_sources", [])
        if delta := event.get("delta"):
            texts[delta["index"]] += delta["text"]
    assert (texts, sources) == (UPPER, SOURCES)
    with grpc.insecure_channel(served.grpc) as channel:
        stub = rpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        events = list(stub.StreamTranslate(pb.TranslateRequest(text=TEXTS, target="pt")))
    assert list(events[0].start.detected_sources) == SOURCES
    for index, text in enumerate(UPPER):
        deltas = [one.delta for one in events if one.WhichOneof("event") == "delta"]
        assert "".join(one.text for one in deltas if one.index == index) == text
    assert events[-1].WhichOneof("event") == "usage"


def test_a_list_that_says_its_language_is_one_request(served: Served) -> None:
    body = {"text": TEXTS, "source": "es", "target": "pt"}
    answer = httpx.post(f"{served.http}/v1/translate", json=body).json()
    assert (answer["model"], "detected_source" in answer) == ("es-pt", False)
    assert {one["source"] for one in answer["translations"]} == {"es"}


@pytest.mark.parametrize(
    ("change", "why"),
    [({"target": "ja"}, "en-pt"), ({"text": ["", " "]}, "no text"), ({"model": "x"}, "no model")],
)
def test_what_cannot_be_done_is_refused_and_counted(
    served: Served, change: dict[str, object], why: str
) -> None:
    def refused() -> float:
        lines = httpx.get(f"{served.http}/metrics").text.splitlines()
        return sum(
            float(line.rpartition(" ")[2]) for line in lines if line.startswith("hexkey_rejected")
        )

    before = refused()
    answer = httpx.post(
        f"{served.http}/v1/translate", json={"text": TEXTS, "target": "pt"} | change
    )
    assert answer.status_code in {400, 404}
    assert why in answer.json()["error"]["message"]
    assert refused() > before
