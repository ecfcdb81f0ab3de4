"""CTranslate2's translators: what a prefix may take from an answer, which is nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexkey.engines.base import LoadContext
from hexkey.engines.ctranslate2.translation import load
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
