"""Markup and glossaries: what is no text comes out as it went in, whatever the translator does."""

from __future__ import annotations

import html
import json
import random
import re
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.text.markup import Kind, cut
from hexkey.text.veil import Veil, VeiledDocument
from hexkey.types import Format

PAGE = """<!DOCTYPE html><html><body>
 <h1 class="x">Hello &amp; welcome</h1>
 <p>The <b>quick</b>
   brown <a href="http://x.y/?a=1&amp;b=2">fox</a> jumps over the caf&eacute;.</p>
 <!-- a comment --><script>if (a<b) { "x" }</script>
 <p>Use <code>a&lt;b</code> and <span translate="no">Do not touch</span>. 5 < 6.<br/>Bye.</p>
</body></html>"""
TAGS = st.sampled_from(
    [
        *("<b>", "</b>", "<i class='x'>", "</i>", "<p>", "</p>", "<br/>", "<!-- c -->", "</a>"),
        *("<a href=x?a=1&amp;b>", '<img src="a>b">', "<div>", "</div>", "<x:y z='1'/>"),
        *("&lt;", "&eacute;", "&nope;"),
    ]
)
WORDS = st.sampled_from(
    ["The cat", " sleeps. ", "A<B", " & ", "%s", "{name}", "\n", "q0z1", "é", "1"]
)
DOCUMENTS = st.lists(st.one_of(TAGS, WORDS), max_size=24).map("".join)


def translated(
    source: str,
    form: Format,
    terms: tuple[tuple[str, str], ...] = (),
    say: object = None,
) -> str:
    """The document as it comes out where ``say`` translates each sentence; else an echo."""
    document = VeiledDocument(source, "en", form, terms)
    out = []
    while pending := document.pending():
        for number, text in pending:
            document.feed(number, say(text) if callable(say) else text)
        out.append(document.take())
    return "".join([*out, document.take()])


def test_a_page_is_cut_into_what_it_is() -> None:
    pieces = list(cut(PAGE, html=True))
    assert "".join(one.text for one in pieces) == PAGE
    words = [one.text for one in pieces if one.kind is Kind.WORD]
    assert words == ["<code>a&lt;b</code>", '<span translate="no">Do not touch</span>']
    blocks = [one.text for one in pieces if one.kind is Kind.BLOCK]
    assert '<script>if (a<b) { "x" }</script>' in blocks


@pytest.mark.parametrize(
    ("tag", "kept"),
    [
        ('<b class="a notranslate">', True),
        ("<b class='notranslate b'>", True),
        ("<b class=notranslate>", True),
        ("<b CLASS = NoTranslate id=x>", True),
        ("<b class=x title=notranslate>", False),
        ('<b class="x" title="notranslate">', False),
        ('<b class="notranslated">', False),
        ("<b translate=no>", True),
        ("<b translate=nope>", False),
    ],
)
def test_an_element_may_say_that_it_is_not_to_be_translated(tag: str, kept: bool) -> None:  # noqa: FBT001
    (first, *_) = cut(f"{tag}word</b>", html=True)
    assert (first.kind is Kind.WORD) is kept


@pytest.mark.parametrize("of", [" class=x", " class='x", ' class="x', " class=x'\"", " class= "])
def test_markup_of_any_kind_takes_linear_time(of: str) -> None:
    began = time.process_time()
    list(cut("<a" + of * (200_000 // len(of)) + ">", html=True))
    assert time.process_time() - began < 2


def test_terms_that_begin_alike_take_linear_time() -> None:
    terms = [("-" * length + "x", "y") for length in range(1, 200)] + [("z", "y")]
    began = time.process_time()
    Veil("-" * 100_000, Format.TEXT, terms)
    Veil("q1z" * 30_000 + "".join(f"q{number}z" for number in range(9_000)))
    assert time.process_time() - began < 4


def test_of_terms_that_begin_alike_the_longest_is_meant() -> None:
    terms = (("the", "1"), ("the cat", "2"), ("The Cat Sat", "3"), ("cat", "4"), ("a.b", "5"))
    for text, said in (
        ("The cat sat.", "3."),
        ("The cat sits.", "2 sits."),
        ("The cats.", "1 cats."),
        ("A cat; a.b, axb", "A 4; 5, axb"),
        ("\u0130the THE \u0130", "\u0130the 1 \u0130"),
    ):
        assert translated(text, Format.TEXT, terms) == said


def test_letters_that_fold_alike_are_not_the_same_term() -> None:
    for term, text in (
        ("istanbul", "\u0130stanbul"),
        ("kad\u0131n", "kadin"),
        ("\u03bcm", "\u00b5m"),
        ("disk", "di\u017fk"),
    ):
        assert translated(text, Format.TEXT, ((term, "no"),)) == text
        assert translated(term.upper(), Format.TEXT, ((term.upper(), "yes"),)) == "yes"


def test_only_text_reaches_the_translator() -> None:
    seen: list[str] = []

    def shout(text: str) -> str:
        seen.append(text)
        return text.upper()

    out = translated(PAGE, Format.HTML, say=shout)
    assert "HELLO &amp; WELCOME</h1>" in out
    assert "<b>QUICK</b> BROWN" in out
    assert 'href="http://x.y/?a=1&amp;b=2">FOX</a>' in out
    assert "CAFÉ" in out
    assert "<code>a&lt;b</code>" in out
    assert "Do not touch" in out
    assert "5 < 6" in out
    assert '{ "x" }</script>' in out
    assert not [one for one in seen if "href" in one or "comment" in one or "touch" in one]


def test_xml_knows_no_elements_and_keeps_what_it_cannot_know() -> None:
    source = "<doc><p>One two.</p><![CDATA[raw <b>]]>&custom; <br>x</br></doc>"
    assert translated(source, Format.XML, say=str.upper) == (
        "<doc><p>ONE TWO.</p><![CDATA[raw <b>]]>&custom; <br>X</br></doc>"
    )


@given(DOCUMENTS, st.sampled_from([Format.HTML, Format.XML]), st.integers(0, 9))
def test_the_multiset_of_tags_never_changes(source: str, form: Format, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - repeatable, no secret

    def garble(text: str) -> str:
        words = text.split()
        rng.shuffle(words)
        return " ".join(words[rng.randrange(2) :])

    whole = translated(source, form)
    for out in (whole, translated(source, form, say=garble)):
        pieces = Counter(
            one.text for one in cut(source, html=form is Format.HTML) if one.kind is not Kind.TEXT
        )
        after = Counter(
            one.text for one in cut(out, html=form is Format.HTML) if one.kind is not Kind.TEXT
        )
        assert after == pieces


@given(DOCUMENTS)
def test_an_echo_changes_layout_and_ways_to_write_a_character_only(source: str) -> None:
    def plain(text: str) -> str:
        return "".join(html.unescape(text).split())

    assert plain(translated(source, Format.HTML)) == plain(source)


@pytest.mark.parametrize(
    "unit",
    ["<", "<a ", '<a "', "<!--", "<![CDATA[", "<code", "<script>", "&", "<b translate=no>", "<p>"],
)
def test_time_is_linear_in_the_text(unit: str) -> None:
    def took(count: int) -> float:
        begun = time.process_time()
        assert translated(unit * count, Format.HTML)
        return time.process_time() - begun

    took(100)
    assert took(40_000) < 20 * max(took(4_000), 0.05)


TERMS = (("Hexkey", "Hexkey"), ("rate limit", "limite de taxa"), ("limit", "limite"))


def test_terms_are_what_the_glossary_says() -> None:
    def lose(text: str) -> str:
        return text.replace("is", "é").replace("the", "o")

    out = translated("hexkey is the Rate Limit of limits; a limit.", Format.TEXT, TERMS, lose)
    assert out == "Hexkey é o limite de taxa of limits; a limite."


def test_a_term_is_escaped_in_json() -> None:
    out = translated('{"a": "the box", "b": 1}', Format.TEXT, (("box", 'a "b"\\\n'),))
    assert json.loads(out) == {"a": 'the a "b"\\\n', "b": 1}


@pytest.mark.parametrize(
    ("source", "out"),
    [
        ('{"box":"box here"}', '{"box":"kaste here"}'),
        (r'["One.\nbox here"]', r'["One.\nkaste here"]'),
        ('{"ok":null,"a":"null box"}', '{"ok":null,"a":"nul kaste"}'),
        (r'["a \u003c box"]', r'["a \u003c kaste"]'),
    ],
)
def test_terms_are_looked_for_in_what_jsons_values_say(source: str, out: str) -> None:
    terms = (("box", "kaste"), ("null", "nul"), ("u003c", "U"))
    assert translated(source, Format.TEXT, terms) == out


def test_a_term_is_escaped_in_markup() -> None:
    out = translated("<p>Use AT&amp;T now.</p>", Format.HTML, (("AT", "A<T"),))
    assert out == "<p>Use A&lt;T&amp;T now.</p>"


@given(
    st.lists(st.sampled_from(["limit", "rate limit", " the ", ". ", "Hexkey", " x"]), max_size=12)
)
def test_every_term_comes_out_once_for_each_time_it_went_in(parts: list[str]) -> None:
    source = " ".join(parts)
    out = translated(source, Format.TEXT, (("limit", "ZZ"),), str.lower)
    assert out.count("ZZ") == len(re.findall(r"(?<!\w)limit(?!\w)", source))
