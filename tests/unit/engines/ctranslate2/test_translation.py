"""CTranslate2's translators: what a prefix may take from an answer, which is nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers

from hexkey.engines.base import LoadContext
from hexkey.engines.ctranslate2.translation import _Tokenizers, load
from tests.unit.requests import translate

SENTENCES = ("Good morning.", "The house stands at the end of the road.", "We are here.")


@pytest.mark.parametrize("prefix", ["", "\u2581the", "\u2581the \u2581house \u2581road"])
def test_a_prefix_takes_nothing_from_the_length_of_an_answer(opus_like: Path, prefix: str) -> None:
    context = LoadContext("m", opus_like, {"target_prefix": prefix}, lambda _line: None)
    translator = load(context)._translator
    payload = translate()
    rows = [translator.encode(text, payload) for text in SENTENCES]
    outcomes = translator.translate(rows, [payload] * len(rows))
    longest = [int(2.5 * len(row)) + 8 for row in rows]
    # A model of random weights hardly ever ends by itself.
    assert [one.tokens - 1 for one in outcomes] == longest


def test_it_tells_which_words_there_are_pieces_for(opus_like: Path, tmp_path: Path) -> None:
    pieces = load(LoadContext("m", opus_like, {}, lambda _line: None))._translator
    words = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"good": 0, "[UNK]": 1}, unk_token="[UNK]")  # noqa: S106 - none
    )
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    for one in (pieces, _Tokenizers(tmp_path / "tokenizer.json")):
        assert one.knows("good good")
        assert not one.knows("good Müller")
