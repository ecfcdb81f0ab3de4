from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hexkey.text.placeholders import census
from hexkey.text.trail import LONGEST, Trail

_PARTS = r"""
    < > { } ` [ ] ( ) ]( ![ $t( {% %} {{ }} ${ #{ <b> <!-- --> {n} {n,plural,one{ }other{ `` &amp; &
    http:// www. C: \ \n \t / ~ . .... ____ ** _ a_b @ a@b : # $ %( )s % | || ² m² ; , - = ! " “ 。
    a B é 1 你 😀 → s d 12 one :) ;- ' :( D p 3 ^ xD 1\ufe0f \u20e3 🏴\U000e0067 \U000e007f
"""
PIECES = st.lists(st.sampled_from(_PARTS.split()), max_size=8).map("".join)


@given(st.lists(PIECES, min_size=1, max_size=8), PIECES, PIECES)
@example(["one$t(", "!*"], "a)", "(a")
@example(["`a``", "b", "c"], "d`", "`d")
@example(["](b<!--", "c;b)"], "-->", "a")
@example(["{{a!b", "}"], "}", "a")
@example(["[a", "]"], "(b)", ")b(")
@example(["a :", "-"], ")", "b")
@example(["a <3"], "!", "b")
@example(["1\ufe0f"], "\u20e3", "a")
def test_what_follows_is_what_it_is_behind_the_whole_text(
    pieces: list[str], one: str, other: str
) -> None:
    trail = Trail()
    for end, piece in enumerate(pieces, 1):
        trail.grow(piece)
        said = "".join(pieces[:end])
        assert trail.alike(one, other) == (census(said + one) == census(said + other))


def test_white_space_ends_it_but_in_a_placeholder() -> None:
    trail = Trail()
    trail.grow("see <a ")
    assert not trail
    trail.grow("b {{x y}")
    assert not trail.alike("}", "z}")
    trail.grow("}")
    assert trail.alike("z}", "z}")
    trail.grow("")
    assert trail
    trail.grow("\n")
    assert not trail


@pytest.mark.parametrize("size", [LONGEST - 2, LONGEST, 3 * LONGEST])
def test_it_remembers_no_more_than_a_placeholder_is_long(size: int) -> None:
    trail = Trail()
    for piece in ["`", *["你"] * size, "http://a"]:
        trail.grow(piece)
    assert not trail.alike("b", ";b")
    assert census("http://ab") != Counter()
