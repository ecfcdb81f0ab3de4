from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.engines.textstream import TextStream
from hexkey.types import StopRule

LINE, SENTENCE, BLOCK = StopRule.LINE, StopRule.SENTENCE, StopRule.BLOCK

Settings = dict[str, object]


def write(raw: str | bytes, step: int = 1, **settings: object) -> tuple[str, bool]:
    """Feed ``raw`` by ``step`` bytes; return the text and whether it ended by itself."""
    data = raw.encode() if isinstance(raw, str) else raw
    stream = TextStream(**settings)  # type: ignore[arg-type]
    text = ""
    for start in range(0, len(data), step):
        text += stream.feed(data[start : start + step])
        if stream.finished:
            return text, True
    return text + stream.end(), False


def test_half_a_character_waits() -> None:
    stream = TextStream()
    first, second = "é".encode()[:1], "é".encode()[1:]
    assert stream.feed(b"caf" + first) == "caf"
    assert stream.feed(second) == "é"


def test_half_a_character_at_the_end_is_dropped() -> None:
    assert write("日本".encode()[:-1]) == ("日", False)


def test_what_is_no_text_becomes_the_replacement_character() -> None:
    assert write(b"a\xffb") == ("a\ufffdb", False)


@pytest.mark.parametrize(
    ("raw", "stop", "text"),
    [
        ("ab STOP cd", ["STOP"], "ab "),
        ("ab STOP cd", ["STOP", "OP c"], "ab "),
        ("ab STOP cd", ["STOPPED", "OP"], "ab ST"),
        ("abcabd", ["abd"], "abc"),
        ("aaab", ["aab"], "a"),
        ("ab ST", ["STOP"], "ab ST"),
        ("日本語", ["本"], "日"),
        ("STOP", ["STOP"], ""),
    ],
)
def test_stop_strings(raw: str, stop: list[str], text: str) -> None:
    assert write(raw, stop=stop)[0] == text


def test_the_stop_string_that_ended_it_is_told() -> None:
    stream = TextStream(stop=["END", "\n"], rule=SENTENCE)
    assert (stream.feed(b"one E"), stream.stop) == ("one ", "")
    assert (stream.feed(b"ND two"), stream.stop) == ("", "END")
    ruled = TextStream(stop=["END"], rule=SENTENCE)
    assert (ruled.feed(b"One. Two END"), ruled.finished, ruled.stop) == ("One.", True, "")


def test_a_stop_string_that_may_come_is_held_back() -> None:
    stream = TextStream(stop=["END"])
    assert [stream.feed(piece) for piece in (b"a E", b"N", b"x", b" END", b"more")] == [
        "a ",
        "",
        "ENx",
        " ",
        "",
    ]
    assert stream.finished
    assert stream.end() == ""


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("x = 1\ny = 2", "x = 1"),
        ("\n\nx = 1\ny = 2", "\n\nx = 1"),
        ("  \n x\r\ny", "  \n x"),
        ("x", "x"),
    ],
)
def test_line(raw: str, text: str) -> None:
    assert write(raw, rule=LINE)[0] == text


def test_line_with_text_right_of_the_cursor_has_no_leading_newline() -> None:
    assert write("\nx", rule=LINE, suffix=")") == ("", True)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (" fine. More", " fine."),
        (" fine? More", " fine?"),
        ('He said "yes." Then', 'He said "yes."'),
        ("Really?! (No.) Yes", "Really?!"),
        ("pi is 3.14 or so. Next", "pi is 3.14 or so."),
        ("use e.g. tea and Mr. X. Next", "use e.g. tea and Mr. X. Next"),
        ("ask J. Smith now. Next", "ask J. Smith now."),
        ("\n1. Foo bar. Baz", "\n1. Foo bar."),
        ("a file.txt here. Next", "a file.txt here."),
        ("日本。東京", "日本。"),
        ("「はい。」と", "「はい。」"),
        ("a title\n\nText", "a title"),
        ("\n\nText. More", "\n\nText."),
        ("Wait… what", "Wait…"),
        ("done.", "done."),
    ],
)
def test_sentence(raw: str, text: str) -> None:
    assert write(raw, rule=SENTENCE)[0] == text


def test_sentence_knows_the_word_before_the_cursor() -> None:
    assert write(". Smith went. Home", rule=SENTENCE, prefix="Hi Mr")[0] == ". Smith went."


def test_sentence_knows_abbreviations_of_the_language() -> None:
    assert write("z.B. bzw. so. Da", rule=SENTENCE, language="de")[0] == "z.B. bzw. so."


@pytest.mark.parametrize(
    ("prefix", "raw", "text"),
    [
        ("def f():\n    ", "x = 1\n    return x\nprint()", "x = 1\n    return x"),
        (
            "def f():\n    ",
            "if y:\n        z\n\n    return 1\n\n\nprint()",
            "if y:\n        z\n\n    return 1",
        ),
        ("f({\n    ", "a: 1,\n});\ng()", "a: 1,\n});"),
        ("f({\n    ", "a: 1,\n} else {\n", "a: 1,"),
        ("f({\n    ", "a: 1,\n\n}\n", "a: 1,"),
        ("  if x\n    ", "y\n  end\nend", "y\n  end"),
        ("  if x\n    ", "y\n  ending = 1", "y"),
        ("def f():", "\n    a\n\nprint", "\n    a"),
        ("x\n", "\n\na = 1\nb = 2\n\nc", "\n\na = 1\nb = 2"),
        ("\tif x:\n\t\t", "y\n\tz", "y"),
        ("    a", " = 1\nb", " = 1"),
    ],
)
def test_block(prefix: str, raw: str, text: str) -> None:
    assert write(raw, rule=BLOCK, prefix=prefix)[0] == text


@pytest.mark.parametrize("raw", ["a;\n}", "a;\n}\nb"])
def test_block_leaves_a_closing_bracket_to_the_suffix(raw: str) -> None:
    assert write(raw, rule=BLOCK, prefix="f {\n    ", suffix="\n}\n")[0] == "a;"
    assert write(raw, rule=BLOCK, prefix="f {\n    ")[0] == "a;\n}"


@pytest.mark.parametrize(
    ("raw", "suffix", "text"),
    [
        (" b\n    return x\nmore", "\n    return x\n", " b"),
        (" b\n    ret", "\n    return x\n", " b"),
        ("bar(x))\nfoo", ")", "bar(x)"),
        ("bar(x)", ")", "bar(x)"),
        ("x)", "):\n", "x"),
        ("foo returned x", "return x", "foo returned x"),
        ("the banan", "nice", "the banan"),
        ("the ni", "nice", "the "),
        ("foo returns", "return", "foo returns"),
        ("foo return", "return", "foo "),
        ("a\n", "\n", "a"),
        ("a\nb", "\n", "a\nb"),
        ("--+---+", "---+", "--+"),
    ],
)
def test_suffix(raw: str, suffix: str, text: str) -> None:
    assert write(raw, suffix=suffix)[0] == text


def test_suffix_of_several_words_counts_inside_a_word() -> None:
    assert write("x jumps over", prefix="fo", suffix="x jumps") == ("", True)
    assert write("x jumps over", prefix="fo", suffix="x")[0] == "x jumps over"


def test_suffix_is_not_repeated_before_another_cut() -> None:
    assert write("a)\nb", suffix=")", rule=LINE)[0] == "a"
    assert write("a)\nb", suffix=");", stop=["\n"])[0] == "a"


ALPHABET = st.sampled_from([*'ab.!? \n\t()}"1é日。', "end", "e.g. ", "\n\n", "    "])
TEXT = st.lists(ALPHABET, max_size=40).map("".join)
SETTINGS = st.fixed_dictionaries(
    {
        "stop": st.lists(TEXT.filter(bool).map(lambda text: text[:4]), max_size=3),
        "rule": st.sampled_from(StopRule),
        "prefix": TEXT,
        "suffix": TEXT,
    }
)


@given(raw=TEXT, settings=SETTINGS, sizes=st.lists(st.integers(1, 7), min_size=1, max_size=80))
def test_the_split_does_not_matter(raw: str, settings: Settings, sizes: list[int]) -> None:
    data = raw.encode()
    stream = TextStream(**settings)  # type: ignore[arg-type]
    text, start = "", 0
    for index in range(len(data)):
        if stream.finished or start >= len(data):
            break
        size = sizes[index % len(sizes)]
        text += stream.feed(data[start : start + size])
        start += size
    ended = stream.finished
    text += stream.end()
    assert (text, ended) == write(raw, step=len(data) or 1, **settings)
    assert (text, ended) == write(raw, step=1, **settings)


@given(raw=TEXT, settings=SETTINGS)
def test_the_output_is_a_beginning_without_a_stop_string(raw: str, settings: Settings) -> None:
    text, _ = write(raw, 1, **settings)
    assert raw.startswith(text)
    stops = settings["stop"]
    assert isinstance(stops, list)
    assert not any(stop in text for stop in stops)


@given(data=st.binary(max_size=40), size=st.integers(1, 5))
def test_any_bytes_decode_like_the_whole(data: bytes, size: int) -> None:
    text, _ = write(data, step=size)
    whole = data.decode(errors="replace")
    assert whole.startswith(text)
    # The beginning of a character that never came; two where what began is a surrogate's code.
    assert whole[len(text) :] in {"", "\ufffd", "\ufffd\ufffd"}
