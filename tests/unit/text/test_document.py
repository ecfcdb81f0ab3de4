import random
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hexkey.text.document import DocumentPlan
from hexkey.text.placeholders import census
from hexkey.text.segment import segment

from .texts import LANGUAGES, MARKERS, TEXTS, mangle


def drive(plan: DocumentPlan, chaos: random.Random, *, mangled: bool) -> str:
    """Answer in random order and take at random times; return all that was taken."""
    taken, open_ = [], plan.pending()
    while open_:
        chaos.shuffle(open_)
        sentence_id, text = open_.pop()
        plan.feed(sentence_id, mangle(text, chaos) if mangled else text)
        open_ += plan.pending()
        if chaos.random() < 0.5:
            taken.append(plan.take())
    assert plan.done
    return "".join([*taken, plan.take()])


@given(TEXTS, LANGUAGES, st.integers(0), st.integers(5, 60))
def test_identity_gives_back_the_text(
    text: str, language: str | None, seed: int, max_chars: int
) -> None:
    plan = DocumentPlan(text, language, max_chars=max_chars)
    assert drive(plan, random.Random(seed), mangled=False) == text  # noqa: S311  a test's dice


@given(TEXTS | MARKERS, LANGUAGES, st.integers(0))
@example("` Dr.Dr.<", None, 0)
@example("Dr.``` Dr.<br/>", None, 0)
def test_layout_and_placeholders_survive_any_translator(
    text: str, language: str | None, seed: int
) -> None:
    out = drive(DocumentPlan(text, language), random.Random(seed), mangled=True)  # noqa: S311  same
    assert census(out) == census(text)
    assert [line[len(line.rstrip()) :] for line in out.splitlines(keepends=True)] == [
        line[len(line.rstrip()) :] for line in text.splitlines(keepends=True)
    ]
    position = 0
    for piece in segment(text, language):
        if not piece.translate:
            position = out.index(piece.text, position) + len(piece.text)


@pytest.mark.parametrize(
    ("text", "said", "out"),
    [
        ("` Say it.<", {"A1 Say it.": "A1 Diz."}, "` Diz.<"),
        ("` Say it.<", {"A1 Say it.": "A1"}, "` Say it.<"),  # `< would be one
        ("你好。lt; well.", {"你好。": "Olá.", "lt; well.": "lt; bem."}, "Olá. lt; bem."),
        ("你好。lt; well.", {"你好。": "Olá &"}, "你好。lt; well."),
        ("one;two;three", {"one": "um", "two": "dois", "three": "três"}, "um;dois;três"),
        ("see www.a.b now;two", {"see A1 now": "veja A1", "two": "dois"}, "veja www.a.b;two"),
        ("a`b`c;say `y`", {"say A1": "A1 diz"}, "a`b`c;`y` diz"),
        ('<p class="a">Hello</p>', {"Hello": "Olá"}, '<p class="a">Olá</p>'),
    ],
)
def test_what_touches_makes_no_placeholder(text: str, said: dict[str, str], out: str) -> None:
    plan = DocumentPlan(text, "zh")
    while asked := plan.pending():
        for sentence_id, sentence in asked:
            plan.feed(sentence_id, said.get(sentence, sentence))
    assert plan.take() == out


_FIELDS = r"""
    ;a "a", ;a[b ;a{n}b ;a`b`c ;a](b |a |a[b <p>Dr. \na }}a 。B a....b [a](b)| www.<b> `a;b
    http://a.b<p>a $t(|a a@b| {a|b 😀|a
"""


@pytest.mark.parametrize("unit", _FIELDS.split())
def test_time_is_linear_in_the_fields_of_a_line(unit: str) -> None:
    def took(size: int) -> float:
        text = unit * (size // len(unit))
        plan, begun = DocumentPlan(text, "en"), time.process_time()
        taken = []
        while asked := plan.pending(8):
            for sentence_id, sentence in asked:
                plan.feed(sentence_id, sentence.swapcase())
            taken.append(plan.take())
        assert "".join([*taken, plan.take()]).lower() == text.lower()
        return time.process_time() - begun

    took(100)
    assert took(10_000) < 20 * max(took(1_000), 0.02)


def test_streams_in_order() -> None:
    plan = DocumentPlan("One.\nTwo.\n", "en")
    (first, one), (second, two) = plan.pending()
    assert (one, two, plan.pending(), plan.done) == ("One.", "Two.", [], False)
    plan.feed(second, "Dois.")
    assert plan.take() == ""
    plan.feed(first, "Um.")
    assert plan.done
    assert plan.take() == "Um.\nDois.\n"
    assert plan.take() == ""


def test_unknown_id() -> None:
    plan = DocumentPlan("One.", "en")
    ((sentence_id, _),) = plan.pending()
    plan.feed(sentence_id, "Um.")
    with pytest.raises(KeyError):
        plan.feed(sentence_id, "Um.")


def test_nothing_to_translate_is_done_at_once() -> None:
    plan = DocumentPlan("\n12\n", None)
    assert plan.pending() == []
    assert plan.done
    assert plan.take() == "\n12\n"


def test_unspaced_sentences_get_a_space_in_a_spaced_language() -> None:
    plan = DocumentPlan("你好。再见。\n谢谢。", "zh")
    for (sentence_id, _), said in zip(plan.pending(), ["Hello.", "Bye.", "Thanks."], strict=True):
        plan.feed(sentence_id, said)
    assert plan.take() == "Hello. Bye.\nThanks."


def test_a_text_is_cut_only_as_far_as_it_is_asked_for() -> None:
    plan = DocumentPlan("One. Two. Three.", "en")
    first, second = plan.pending(2)
    assert [first[1], second[1]] == ["One.", "Two."]
    plan.feed(first[0], "Um.")
    plan.feed(second[0], "Dois.")
    assert not plan.done
    ((third, text),) = plan.pending(2)
    assert text == "Three."
    plan.feed(third, "Três.")
    assert plan.done
    assert plan.take() == "Um. Dois. Três."
