# ruff: noqa: RUF001  typographic quotes and wide punctuation are meant
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.text.placeholders import find, has_words
from hexkey.text.segment import segment

from .texts import LANGUAGES, TEXTS

# each case is the sentences a text must give, "|" between them; the text is the case without "|"
CASES = [
    ("en", "Hello. | How are you? | Fine!"),
    ("en", "Mr. Smith met Dr. Jones. | They talked."),
    ("en", "J. R. R. Tolkien wrote it. | I read it."),
    ("en", "Pi is 3.14 and v1.2.3 is out. | Good."),
    ("en", "See e.g. the manual, i.e. chapter 2. | Then stop."),
    ("en", "Bring tea, milk, etc. and come. | We wait."),
    ("en", "Bring tea, milk, etc. | We wait."),
    ("en", "It starts at 5 p.m. today. | Be there."),
    ("en", "It starts at 5 p.m. | Be there."),
    ("en", "Wait... what? | Nothing."),
    ("en", "Wait... | What?"),
    ("en", 'He said "Stop." | Then he left.'),
    ("en", '"Why?" he asked. | Nobody knew.'),
    ("en", "(It was late.) | We slept."),
    ("en", "Visit example.com. | It is free."),
    ("en", "Read https://a.io/b.html?x=1. | Then write."),
    ("en", "Write to me@a.io. | I answer."),
    ("en", "Open config.yaml now. | Save it."),
    ("en", "The U.S. Army came. | It left."),
    ("en", "You and I. | Nobody else."),
    ("en", "No. 5 is alive. | Is it? | No. | It is not."),
    ("en", "Yahoo! is a company. | So is Apple Inc. | Both live."),
    ("en", "Really?! | Yes!!"),
    ("en", "It was 2024. | Times were good."),
    ("en", "Press <b>Save.</b> | Then go."),
    ("en", "Use `a. B` here. | Done."),
    ("en", 'A <a href="x. Y">link</a> here. | Done.'),
    ("pt", "O Sr. Silva e a Dra. Ana chegaram. | Eles falaram."),
    ("pt", "Moro na Av. Paulista, n. 10. | E você?"),
    ("pt", "Frutas, p.ex. uvas, são boas. | Coma."),
    ("pt", "Custa R$ 1.234,56. | É caro."),
    ("pt", "Comprei pão, leite etc. | Depois voltei."),
    ("pt", "Ele disse: “Pare.” | Depois saiu."),
    ("pt", "Vem às 10h. | Não demore!"),
    ("pt", "Quer ir ao parque? | Sim. | Vamos."),
    ("de", "Am 3. Oktober ist Feiertag. | Alle ruhen."),
    ("de", "Das ist z.B. gut. | Oder nicht?"),
    ("de", "Hr. Müller kam um 9.30 Uhr. | Er ging bald."),
    ("de", "Äpfel, Birnen usw. | Das reicht."),
    ("de", "Es war 1999. | Alles war gut."),
    ("de", "„Halt!“ rief er."),
    ("fr", "M. Dupont est là. | Il attend."),
    ("fr", "Il dit : « Viens ! » | Puis il part."),
    ("fr", "Voir fig. 3 et p. 12. | C'est clair."),
    ("fr", "Mme Curie est née en 1867. | Elle est morte en 1934."),
    ("fr", "Est-ce vrai ? | Oui."),
    ("es", "El Sr. Pérez llegó. | ¿Quién es? | ¡No lo sé!"),
    ("es", "EE.UU. es grande. | México también."),
    ("es", "Véase la pág. 3. | Luego siga."),
    ("es", "Ud. tiene razón. | Gracias."),
    ("es", "Son 3,5 kg. | Está bien."),
    ("it", "Il dott. Rossi è qui. | Aspetta."),
    ("zh", "你好。|我是学生。|你呢？|很好！"),
    ("zh", "他说：“走吧。”|然后他走了。"),
    ("zh", "圆周率是3.14。|对吗？"),
    ("zh", "请访问https://a.io/x。|谢谢。"),
    ("ja", "こんにちは。|元気ですか？|はい。"),
    ("ja", "「行きますか？」と彼は言った。|私は黙っていた。"),
    ("ja", "値段は1,000円です。|安い！"),
    ("ar", "كيف حالك؟ | أنا بخير."),
    ("hi", "यह एक घर है। | वह बड़ा है।"),
    (None, "One. | Deux. | Drei."),
]


@pytest.mark.parametrize(("language", "case"), CASES)
def test_sentences(language: str | None, case: str) -> None:
    wanted = [part.strip() for part in case.split("|")]
    pieces = segment(case.replace(" | ", " ").replace("|", ""), language)
    assert [piece.text for piece in pieces if piece.translate] == wanted


@pytest.mark.parametrize(
    "text",
    ["", " \n\t\r\n", "---", "12.5", "https://a.io/b", "{name}", "x = 1;", "call(a,b);", "if (x) {",
     "$ git push origin", ">>> print(x)", "```\nSome code here.\n```\n", "<br/>", "😀 → 🎲",
     "~~~sh\nSome code.\n```\nMore code.\n~~~", "| :-- | 1 |", "a_b|/c/d"],
)  # fmt: skip
def test_nothing_to_translate(text: str) -> None:
    assert not any(piece.translate for piece in segment(text, "en"))


def test_layout_is_verbatim() -> None:
    text = "# Title\n\n- One thing.\n  1. Another?  Yes.\r\n\n\tEnd"
    pieces = segment(text, "en")
    assert [p.text for p in pieces if p.translate] == [
        "Title", "One thing.", "Another?", "Yes.", "End",
    ]  # fmt: skip
    assert [p.text for p in pieces if not p.translate] == [
        "# ", "\n\n- ", "\n  1. ", "  ", "\r\n\n\t",
    ]  # fmt: skip


def test_columns_are_apart_and_what_is_between_them_is_kept() -> None:
    text = (
        "Name:\t{name}\tAge and place:   here\t \tnow but  not <a  \t b> or `x\ty`."
        "\nAnna S.  31  New York\u3000red\u2003it"
    )
    found = segment(text, "en")
    assert "".join(piece.text for piece in found) == text
    wanted = ["Name:", "Age and place:", "here", "now but  not <a  \t b> or `x\ty`."]
    wanted += ["Anna S.", "New York", "red", "it"]
    assert [piece.text for piece in found if piece.translate] == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("| Anna S. | 31 | New York |\n|Bob|5|London  |", ["Anna S.", "New York", "Bob", "London"]),
        ("red apples  pears  plums", ["red apples  pears  plums"]),
        ("apples  pears  plums", ["apples", "pears", "plums"]),
        ("We  are  here.", ["We  are  here."]),
        ('"One thing","three, four";5', ['"One thing"', '"three, four"']),
        (r"Open\nthe door", ["Open", "the door"]),
        ("One thing;31;Two things", ["One thing", "Two things"]),
        ("The first part ..... 3", ["The first part"]),
        ("Name: ________ Town: ____", ["Name:", "Town:"]),
        (r"One line\nTwo lines.\n\tThree", ["One line", "Two lines.", "Three"]),
        ("{n, plural, one {An item} other {# items}}.", ["An item", "# items"]),
    ],
)
def test_edges_end_sentences(text: str, wanted: list[str]) -> None:
    assert [piece.text for piece in segment(text, "en") if piece.translate] == wanted


def test_block_tags_end_sentences() -> None:
    pieces = segment("<p>One.</p><p>Two<br/>three</p>")
    assert [p.text for p in pieces if p.translate] == ["One.", "Two", "three"]


def test_long_sentences_are_cut_at_clauses_then_spaces() -> None:
    clauses = segment("one two three; four five six, seven eight", max_chars=20)
    assert [p.text for p in clauses if p.translate] == [
        "one two three;", "four five six,", "seven eight",
    ]  # fmt: skip
    words = segment("aaaa bbbb cccc dddd", max_chars=10)
    assert [p.text for p in words if p.translate] == ["aaaa bbbb", "cccc dddd"]
    assert [p.text for p in segment("你" * 25, "zh", max_chars=10)] == [
        "你" * 10,
        "你" * 10,
        "你" * 5,
    ]


def test_a_part_of_a_word_is_no_emoticon_where_the_word_has_none() -> None:
    for text, kind in (("a.<3![Dr", "stray"), ("<3![Dr", "stray"), ("a <3!", "face")):
        assert [one.kind for one in find(text)] == [kind]


def test_max_chars_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        segment("x", max_chars=0)


@given(TEXTS, LANGUAGES, st.integers(1, 60))
def test_lossless(text: str, language: str | None, max_chars: int) -> None:
    pieces = segment(text, language, max_chars=max_chars)
    assert "".join(piece.text for piece in pieces) == text
    for piece in pieces:
        assert piece.text
        if piece.translate:
            assert piece.text == piece.text.strip()
            assert len(piece.text.splitlines()) == 1
            assert has_words(piece.text)
            longest = max((p.end - p.start for p in find(piece.text)), default=0)
            assert len(piece.text) <= max(max_chars, longest)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "unit",
    ["a.", "a. ", "A. ", "{", "<", "<a", "<!", "`", "`a ", "&", "%", "@", "a@", "http://",
     "[", "[a](", "](", "|", "a;", "**", "_a", "a_", "A_1", ":a", "~/a", "/a", "{a,plural,",
     "} one {", "C:\\", "\\", "$t(", "²", "a²", "=", "\u3000", "a  ",
     "a", " ", "\n", "1,", "1 ", "(", "你", "。", "é\u0301", ". ", "!<b>", "a=", "- ", "1."],
)  # fmt: skip
def test_linear_time(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    begin = time.process_time()
    pieces = segment(text, "en")
    assert time.process_time() - begin < 8
    assert "".join(piece.text for piece in pieces) == text
    assert re.search(r"\S", "".join(p.text for p in pieces if p.translate)) or not has_words(text)
