"""DeepL's own client, told another address."""

from __future__ import annotations

import deepl
import pytest

from tests.e2e.conftest import Served


@pytest.fixture(scope="module")
def client(quickstart: Served) -> deepl.DeepLClient:
    return deepl.DeepLClient("no key", server_url=quickstart.http)


def test_texts_are_translated_in_order(client: deepl.DeepLClient) -> None:
    texts = ["The weather is nice today.", "Good morning, my friend."]
    answer = client.translate_text(texts, source_lang="EN", target_lang="PT-BR")
    assert isinstance(answer, list)
    assert [one.text for one in answer] == ["O tempo é bom hoje.", "Bom dia, meu amigo."]
    assert [one.billed_characters for one in answer] == [len(text) for text in texts]


def test_a_source_that_is_not_given_is_told(client: deepl.DeepLClient) -> None:
    answer = client.translate_text("O tempo está bom.", target_lang="EN-GB")
    assert isinstance(answer, deepl.TextResult)
    assert answer.detected_source_lang == "PT"
    assert "weather" in answer.text


def test_languages(client: deepl.DeepLClient) -> None:
    sources = {one.code: one.name for one in client.get_source_languages()}
    targets = {one.code for one in client.get_target_languages()}
    assert sources == {"EN": "English", "PT": "Portuguese"}
    assert targets == {"EN-GB", "EN-US", "PT-BR", "PT-PT"}


def test_usage_grows_by_what_is_sent(client: deepl.DeepLClient) -> None:
    def count() -> int:
        used = client.get_usage().character.count
        assert used is not None
        return used

    before = count()
    client.translate_text("four", source_lang="EN", target_lang="PT-PT")
    assert count() == before + 4


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"target_lang": "JA"}, "en-pt, pt-en"),
        ({"target_lang": "PT-BR", "tag_handling": "html"}, "tag_handling"),
        ({"target_lang": "PT-BR", "formality": "more"}, "formality"),
        ({"target_lang": "PT-BR", "source_lang": "EN", "glossary": "no-such"}, "glossary"),
        ({"target_lang": "PT-BR", "style_rule": "no-such"}, "style_id"),
        ({"target_lang": "PT-BR", "custom_instructions": ["Be brief."]}, "custom_instructions"),
    ],
)
def test_what_cannot_be_done_is_a_bad_request(
    client: deepl.DeepLClient, options: dict[str, str], why: str
) -> None:
    with pytest.raises(deepl.DeepLException, match="Bad request") as refused:
        client.translate_text("Hello.", **options)  # type: ignore[arg-type]
    assert why in str(refused.value)
