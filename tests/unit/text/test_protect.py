import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.text import numbers
from hexkey.text.placeholders import census, find
from hexkey.text.protect import MASKS, SentencePlan, protect, restore
from hexkey.text.typography import Knows, knows_all

from .texts import TEXTS, mangle


def run(source: str, translate: Callable[[str], str], knows: Knows = knows_all) -> tuple[str, int]:
    plan, rounds = SentencePlan(source, knows), 0
    while not plan.done:
        plan.feed([translate(text) for text in plan.pending()])
        rounds += 1
    assert plan.text is not None
    return plan.text, rounds


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Hi {name} and {0}, {{x.y}} ${HOME} {}!", ["{name}", "{0}", "{{x.y}}", "${HOME}", "{}"]),
        ("%s of %d, %(n)d, %1$s, %5.2f 50% off, 50%d", ["%s", "%d", "%(n)d", "%1$s", "%5.2f"]),
        ('<b>x</b> <a href="/y z">q</a><br/>', ["<b>", "</b>", '<a href="/y z">', "</a>", "<br/>"]),
        ("a &amp; b &#39; R&D;x AT&T", ["&amp;", "&#39;"]),
        ("See https://a.io/b?c=(d). Or www.b.org, ok", ["https://a.io/b?c=(d", "www.b.org"]),
        ("Mail a.b+c@d-e.co.uk.", ["a.b+c@d-e.co.uk"]),
        ("Run `x y` or ``z``, @me, #top", ["`x y`", "``z``", "@me", "#top"]),
        ("Nice 👍🏽 work → go", ["👍🏽", "→"]),
        ("5 < 7 or {open", ["<", "{open"]),
        (
            "#{a} %{b} { $c } {d:,.1%} {e!r:>9} {{{f}}} {% if x %}",
            ["#{a}", "%{b}", "{ $c }", "{d:,.1%}", "{e!r:>9}", "{{{f}}}", "{% if x %}"],
        ),
        ("$t(a.b, x) $v :count @:a.b 9:30 a:b R$ 5", ["$t(a.b, x)", "$v", ":count", "@:a"]),
        (
            "{n, plural, =0 {No} one {# item} other {# items}} {d, date, short}",
            ["{n, plural, =0 {", "} one {", "#", "} other {", "#", "}}", "{d, date, short}"],
        ),
        (
            "**a** *b*, ***c*** ~~d~~ __e__ _f_ 2*3 * 4_",
            ["**", "**", "*", "*", "***", "***", "~~", "~~", "__", "__", "_", "_", "_"],
        ),
        ('[a b](c.d) ![e](f "g") [h] i (j)', ["[", "](c.d)", "![", '](f "g")']),
        (r"a\nb \textbf{c} \neq d\ref{e}", [r"\n", "{c}", "{e}"]),
        ("|a | b|| c .... f ____", ["|", "|", "||", "....", "____"]),
        (
            r"a\nB \t \"c\" C:\new\d, ~/e/f. /g/h/ or i/j /k ./l",
            [r"\n", r"\t", r"C:\new\d", "~/e/f", "/g/h", "./l"],
        ),
        (
            "a_b __NAME__ 20 m² 2½ x² <?php a ?> <!DOCTYPE b>",
            ["a_b", "__NAME__", "m²", "½", "x²", "<?php a ?>", "<!DOCTYPE b>"],
        ),
        ("a :) b ;-D, :'( c <3. d ^_^", [":)", ";-D", ":'(", "<3", "^_^"]),
        ("xD! =) :(( >:( (f :P) </3 :/", ["xD", "=)", ":((", ">:(", ":P", "</3", ":/"]),
        ("a: (b) c:) 1:3 :a (d:(e)) f=(g) =(h) :D3 xDa :SOS :pt :)a", [":pt"]),
        ("👨🏽\u200d👩🏽, 🇧🇷, 1️⃣ #⃣ ☺︎", ["👨🏽\u200d👩🏽", "🇧🇷", "1️⃣", "#⃣", "☺︎"]),
        ("🏴\U000e0067\U000e0062\U000e007f!", ["🏴\U000e0067\U000e0062\U000e007f"]),
    ],
)
def test_grammar(text: str, kept: list[str]) -> None:
    assert [found.text for found in find(text)] == kept


@given(TEXTS)
def test_a_quick_look_overlooks_no_placeholder(text: str) -> None:
    assert [*find(text)] == [*find(f"{text}\n<")][:-1]


@pytest.mark.parametrize(
    ("source", "masked", "said", "text"),
    [
        ("Hi {name}!", "Hi A1!", "Olá, A1!", "Olá, {name}!"),
        ("Press <b>OK</b> now", "Press A1 OK A2 now", "Prima A1 OK A2 já", "Prima <b>OK</b> já"),
        ("{a} to {b}", "A1 to A2", "A2 de A1", "{b} de {a}"),
        ("%s to %s", "A1 to A2", "A2 de A1", None),
        ("Hi <b>{x}</b> you", "Hi A1 you", "Olá A1 tu", "Olá <b>{x}</b> tu"),
        ("<i>a</i> <b>b</b> c", "A1 a A2 b A3 c", "A1 x A2 A3 y", None),
        ("{n}GB free", "A1 GB free", "A1 GB livres", "{n}GB livres"),
        ("A4 paper for {x} A1", "A4 paper for A2 A1", "A4 A1 para A2", "A4 A1 para {x}"),
        ("Hi {name}", "Hi A1", "Olá", None),
        ("Hi {name}", "Hi A1", "A1 A1", None),
        ("Hi {name}", "Hi A1", "Olá A12", None),
        ("Hi {name}", "Hi A1", "Olá A1 {name}", None),
        ('Say "{x}".', 'Say "A1".', 'Diga " A1 ".', 'Diga "{x}".'),
        ("Nice :-) but {x}", "Nice A1 but A2", "Bom:A1 mas A2", None),
        ("Nice :-) but slow", "Nice A1 but slow", "Bom A1 mas lento", "Bom :-) mas lento"),
    ],
)  # fmt: skip
def test_restore(source: str, masked: str, said: str, text: str | None) -> None:
    protected = protect(source, MASKS[0])
    assert protected.masked == masked
    assert restore(said, protected) == text


@pytest.mark.parametrize(
    ("source", "target", "same"),
    [
        ("1,234.56 dollars", "1.234,56 dólares", True),
        ("1,234.56 dollars", "1.234.56 dólares", False),
        ("1,000 and 3.14", "1.000 e 3,14", True),
        ("1 234,5", "1,234.5", True),
        ("1.5", "15", False),
        ("5 p.m. at gate 9", "17:00 na porta 9", True),
        ("10h30", "10:30 a.m.", True),
        ("10h30", "10:30 p.m.", False),
        ("the 21st century", "o século XXI", True),
        ("século XXI de 2001", "21st century of 2001", True),
        ("v1.2.3", "v1.2.3", True),
        ("v1.2.3", "v1.2.4", False),
        ("2024-01-02", "02/01/2024", True),
        ("€25", "US$ 25", False),
        ("25 €", "€25", True),
        ("\u0663 books", "3 livros", True),
        ("5 apples", "maçãs", False),
        ("5 apples", "5 5 maçãs", False),
    ],
)
def test_numbers(source: str, target: str, *, same: bool) -> None:
    assert numbers.kept(source, target) is same


def test_second_round_uses_other_masks() -> None:
    text, rounds = run("Hi {name}, hello", lambda text: text.replace("A1", "the"))
    assert (text, rounds) == ("Hi {name}, hello", 2)


def test_lost_number_is_masked_in_the_second_round() -> None:
    text, rounds = run("I have 2 cats", lambda text: text.replace("2", "two"))
    assert (text, rounds) == ("I have 2 cats", 2)


def test_third_round_translates_around_the_placeholders() -> None:
    text, rounds = run("Hi {name}, you owe 5 euros", lambda text: text.translate(DEAF))
    assert (text, rounds) == ("hi {name}, you owe 5 euros", 3)


DEAF = str.maketrans("H", "h", "A1_25")


@pytest.mark.parametrize(
    ("source", "said", "text"),
    [
        ("Weighs 10_kg  now", "Pesa 10 kg", "Pesa 10_kg"),
        ("Say “it”  now", 'Diz "isto" já', "Diz “isto”  já"),
        ("Hi_{name}, you owe 10_000_€", "Olá A1, deves 10 000 €", "Olá_{name}, deves 10_000_€"),
        ("x_{a} of_`c d`", "x A1 de A2", "x_{a} de_`c d`"),
    ],
)
def test_odd_spaces_come_back(source: str, said: str, text: str) -> None:
    source, text = (one.replace("_", "\u00a0") for one in (source, text))
    assert run(source, lambda _: said) == (text, 1)


def test_feed_wants_as_many_as_pending() -> None:
    with pytest.raises(ValueError, match="1 translations wanted, 0 given"):
        SentencePlan("Hello").feed([])


@pytest.mark.parametrize("source", ["", "  ", "{name}", "12", "<b> </b>", "😀"])
def test_nothing_to_translate(source: str) -> None:
    assert SentencePlan(source).text == source


@given(TEXTS)
def test_identity(source: str) -> None:
    assert run(source, str)[0] == source


@given(TEXTS, st.integers(0))
def test_placeholders_survive_any_translator(source: str, seed: int) -> None:
    chaos = random.Random(seed)  # noqa: S311  a test's dice
    text, rounds = run(source, lambda text: mangle(text, chaos))
    assert census(text) == census(source)
    assert numbers.kept(source, text) or numbers.has_digits(source, text)
    assert rounds <= 3
    assert text.strip() or not source.strip()


@given(TEXTS, st.lists(st.text(max_size=20), min_size=1))
def test_placeholders_survive_garbage(source: str, answers: list[str]) -> None:
    said = iter(answers * 1000)
    assert census(run(source, lambda _: next(said, ""))[0]) == census(source)
