"""LibreTranslate's client, which sends forms, and the lists that only programs send."""

from __future__ import annotations

import json
import urllib.error

import httpx
import pytest
from libretranslatepy import LibreTranslateAPI

from tests.e2e.conftest import Served

ENGLISH = "The weather is nice today."
PORTUGUESE = "O tempo é bom hoje."


@pytest.fixture(scope="module")
def client(quickstart: Served) -> LibreTranslateAPI:
    return LibreTranslateAPI(quickstart.http)


def test_a_text_is_translated(client: LibreTranslateAPI) -> None:
    assert client.translate(ENGLISH, "en", "pt") == PORTUGUESE
    assert client.translate(ENGLISH, "auto", "pt") == PORTUGUESE


def test_languages(client: LibreTranslateAPI) -> None:
    assert client.languages() == [
        {"code": "en", "name": "English", "targets": ["pt"]},
        {"code": "pt", "name": "Portuguese", "targets": ["en"]},
    ]


def test_detect(client: LibreTranslateAPI) -> None:
    for text, language in ((ENGLISH, "en"), (PORTUGUESE, "pt")):
        (found,) = client.detect(text)
        assert found["language"] == language
        assert 50 < found["confidence"] <= 100


def test_an_error_is_a_text(client: LibreTranslateAPI) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        client.translate(ENGLISH, "en", "ja")
    assert refused.value.code == 400
    assert "en-pt, pt-en" in json.load(refused.value)["error"]


def test_a_list_gives_lists(quickstart: Served) -> None:
    body = {"q": [ENGLISH, "Good morning."], "source": "auto", "target": "pt", "alternatives": 2}
    answer = httpx.post(f"{quickstart.http}/translate", json=body, timeout=60).json()
    assert answer["translatedText"] == [PORTUGUESE, "Bom dia."]
    assert [one["language"] for one in answer["detectedLanguage"]] == ["en", "en"]
    assert answer["alternatives"] == [[], []]


def test_curl_calls_json_a_form(quickstart: Served) -> None:
    answer = httpx.post(
        f"{quickstart.http}/translate",
        content=f'{{"q": "{ENGLISH}", "source": "en", "target": "pt"}}',
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.json() == {"translatedText": PORTUGUESE}


def test_markup_is_kept(quickstart: Served) -> None:
    body = {"q": "<b>Good morning</b>", "source": "en", "target": "pt", "format": "html"}
    answer = httpx.post(f"{quickstart.http}/translate", json=body, timeout=60)
    assert answer.json()["translatedText"] == "<b>Bom dia</b>"
