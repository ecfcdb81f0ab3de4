import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.text.document import DocumentPlan

from .test_document import drive
from .texts import TEXTS

VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
DOCUMENTS = st.lists(VALUES, max_size=4) | st.dictionaries(TEXTS, VALUES, max_size=4)


@pytest.mark.parametrize(
    ("text", "said", "out"),
    [
        ('{"big title": "Hello"}', {"Hello": "Olá"}, '{"big title": "Olá"}'),
        ('[ "Hello. Bye.", 1 ]\n', {"Hello.": "Olá.", "Bye.": "Xau."}, '[ "Olá. Xau.", 1 ]\n'),
        ('{"a": {"b c" : ["Hello"]}}', {"Hello": "Olá"}, '{"a": {"b c" : ["Olá"]}}'),
        ('{"a":"Say it"}', {"Say it": 'Diz "isso"'}, '{"a":"Diz \\"isso\\""}'),
        ('["Yes","<b"]', {"Yes": "Sim"}, '["Sim","<b"]'),
        (r'["Say \"a\".\nBye"]', {'Say "a".': 'Diz "a".', "Bye": "Xau"}, r'["Diz \"a\".\nXau"]'),
        (r'["caf\u00e9", "Hello"]', {"Hello": "Olá"}, r'["caf\u00e9", "Ol\u00e1"]'),
        (r'["é", "a\n\u00e9", "Hello"]', {"Hello": "Olá"}, r'["é", "a\né", "Olá"]'),
        (r'["https:\/\/a.b", "\ud83d a"]', {}, r'["https:\/\/a.b", "\ud83d a"]'),
    ],
)
def test_values_of_json_are_translated(text: str, said: dict[str, str], out: str) -> None:
    plan = DocumentPlan(text, "en")
    asked = plan.pending()
    for sentence_id, sentence in asked:
        plan.feed(sentence_id, said.get(sentence, sentence))
    assert plan.take() == out
    assert said.keys() <= {sentence for _, sentence in asked}


def test_an_escaped_backslash_escapes_nothing_else() -> None:
    plan = DocumentPlan(r'{"p":"C:\\/x","q":"see \\u003c","t":"either"}', "en")
    for sentence_id, sentence in plan.pending():
        plan.feed(sentence_id, "this/that" if sentence == "either" else sentence)
    assert plan.take() == r'{"p":"C:\\/x","q":"see \\u003c","t":"this/that"}'


def test_what_keeps_json_apart_from_a_page_around_it_stays_escaped() -> None:
    plan = DocumentPlan(r'["Close \u003Cb\u003e and <\/script>", "Hello"]', "en")
    for sentence_id, sentence in plan.pending():
        plan.feed(sentence_id, "Xau" if sentence == "Hello" else sentence.replace("and", "e"))
    assert plan.take() == r'["Close \u003Cb\u003e e \u003C\/script\u003e", "Xau"]'


def test_a_line_break_is_no_backslash_where_values_are_looked_at() -> None:
    said = {"Days:": "Dias:", "Monday": "segunda-feira", "Tuesday": "terça-feira"}
    plan = DocumentPlan(json.dumps({"a": "Days:  \nMonday\nTuesday"}), "en")
    for sentence_id, sentence in plan.pending():
        plan.feed(sentence_id, said[sentence])
    assert json.loads(plan.take()) == {"a": "Dias:  \nsegunda-feira\nterça-feira"}


@pytest.mark.parametrize("text", ["[a]", '["a b", c]', '"a b"', '["a b"] c', '["a\n"]'])
def test_what_is_no_json_is_prose(text: str) -> None:
    ((_, asked), *_) = DocumentPlan(text, "en").pending()
    assert "a" in asked


def test_deep_brackets_are_no_error() -> None:
    text = "[" * 100_000 + '"a"' + "]" * 100_000
    assert DocumentPlan(text, "en").pending() is not None


@given(DOCUMENTS, st.booleans())
def test_json_stays_as_it_is(document: object, ascii_only: bool) -> None:  # noqa: FBT001 - a dice
    text = json.dumps(document, ensure_ascii=ascii_only)
    assert drive(DocumentPlan(text, "en"), random.Random(0), mangled=False) == text  # noqa: S311


@given(DOCUMENTS, st.integers(0))
def test_json_stays_json_with_its_keys(document: object, seed: int) -> None:
    out = drive(DocumentPlan(json.dumps(document), "en"), random.Random(seed), mangled=True)  # noqa: S311

    def form(value: object) -> object:
        if isinstance(value, dict):
            return {key: form(one) for key, one in value.items()}
        return [form(one) for one in value] if isinstance(value, list) else type(value)

    assert form(json.loads(out)) == form(document)
