"""Texts that look for trouble, and a translator that makes it."""

import random

from hypothesis import strategies as st

_SNIPPETS = """
    Dr. e.g. etc. 3.14 p.m. {name} {{x}} ${V} %s %(n)d %1$s <b> </b> <br/> <a href="x. Y"> &amp;
    https://a.io/x?y=1. me@a.io `a. b` @me #top … ... ? ! 。 」 ؟ । * - 1. ``` { } < > `
    ** __ ~~ [a](b.c) ![ ]( | ; "a";b :x $t(a.b) #{n} {n,plural,one{ } other{# }} \\n \\" ....
    C:\\a m² ½ :) ;-D <3 ^^ >:( xD 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿
    Hello world não 你好 こんにちは 😀 → U.S. J. A1 _1_ €5 5pm XXI & % 1,234.5
"""
_SPACES = [" ", "  ", "\n", "\r\n", "\t", "\u2028", " ", " "]
TEXTS = st.lists(
    st.sampled_from(_SNIPPETS.split() + _SPACES) | st.text(max_size=6), max_size=40
).map("".join)
# Markers without a partner, beside words and each other.
_MARKERS = ["``", "```", "](b)", "~~", "}}", "<b>", "<br/>", "Dr.", "3.14", "Hello", "你好。"]
MARKERS = st.lists(st.sampled_from([*"`{}<>& \n*_#|;[", "} one {", *_MARKERS]), max_size=14).map(
    "".join
)
LANGUAGES = st.sampled_from([None, "en", "pt-BR", "de", "fr", "es", "it", "zh", "ja"])

_JUNK = [*"{}<>`%$&@#;/ 7A_", "A1", "_1_", "{name}", "%s", "<b>", "&lt;", "\n", "x", ". "]


def mangle(text: str, chaos: random.Random) -> str:
    """Drop, double, swap or add characters, words and junk."""
    parts: list[str] = text.split(" ") if chaos.random() < 0.7 else list(text)
    for _ in range(chaos.randrange(4)):
        i = chaos.randrange(len(parts) + 1)
        match chaos.randrange(5):
            case 0:
                del parts[i : i + 1]
            case 1:
                parts[i:i] = parts[i : i + 1]
            case 2:
                parts.insert(i, chaos.choice(_JUNK))
            case 3:
                chaos.shuffle(parts)
            case _:
                parts[i : i + 1] = [part.upper() for part in parts[i : i + 1]]
    return (" " if chaos.random() < 0.7 else "").join(parts)
