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
        ({"target_lang": "PT-BR", "tag_handling": "svg"}, "tag_handling"),
        ({"target_lang": "PT-BR", "formality": "more"}, "formality"),
        ({"target_lang": "PT-BR", "source_lang": "EN", "glossary": "no-such"}, "glossary"),
        ({"target_lang": "PT-BR", "style_rule": "no-such"}, "style_id"),
        ({"target_lang": "PT-BR", "custom_instructions": ["Be brief."]}, "custom_instructions"),
    ],
)
def test_what_cannot_be_done_is_a_bad_request(
    client: deepl.DeepLClient, options: dict[str, str], why: str
) -> None:
    with pytest.raises(deepl.DeepLException, match=r"Bad request|Not found") as refused:
        client.translate_text("Hello.", **options)  # type: ignore[arg-type]
    assert why in str(refused.value)


def test_markup_is_kept(client: deepl.DeepLClient) -> None:
    source = '<p>The <b>weather</b> is nice <a href="/x?a=1&amp;b=2">today</a>.</p>'
    answer = client.translate_text(
        source, source_lang="EN", target_lang="PT-BR", tag_handling="html"
    )
    assert isinstance(answer, deepl.TextResult)
    for tag in ("<p>", "</p>", "<b>", "</b>", '<a href="/x?a=1&amp;b=2">', "</a>"):
        assert answer.text.count(tag) == 1
    assert "tempo" in answer.text
    assert "hoje" in answer.text


def test_a_glossary_is_kept_heeded_and_forgotten(client: deepl.DeepLClient) -> None:
    terms = {"weather": "clima", "rate limit": "limite de taxa"}
    made = client.create_glossary("mine", "EN", "PT", terms)
    assert (made.entry_count, made.ready, made.name) == (2, True, "mine")
    assert client.get_glossary_entries(made) == terms
    assert made.glossary_id in {one.glossary_id for one in client.list_glossaries()}
    answer = client.translate_text(
        "The weather is nice today.", source_lang="EN", target_lang="PT-BR", glossary=made
    )
    assert isinstance(answer, deepl.TextResult)
    assert "clima" in answer.text
    pairs = {(one.source_lang, one.target_lang) for one in client.get_glossary_languages()}
    assert pairs == {("en", "pt"), ("pt", "en")}
    client.delete_glossary(made)
    with pytest.raises(deepl.GlossaryNotFoundException):
        client.get_glossary(made.glossary_id)


def test_a_glossary_of_another_direction_is_refused(client: deepl.DeepLClient) -> None:
    made = client.create_glossary("other", "PT", "EN", {"tempo": "time"})
    with pytest.raises(deepl.DeepLException, match="pt-en"):
        client.translate_text(
            "Hi.", source_lang="EN", target_lang="PT-BR", glossary=made.glossary_id
        )
    client.delete_glossary(made)
