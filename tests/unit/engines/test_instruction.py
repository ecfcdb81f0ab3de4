"""How a language model is asked to translate, and what of its answer is the translation."""

from __future__ import annotations

import pytest

from hexkey.engines.instruction import DEFAULT, Instruction, answer
from hexkey.models.errors import ModelError
from hexkey.types import Translate

PT = Translate(texts=(), source="en", target="pt-BR")


def test_the_model_is_told_both_languages_by_name_and_the_sentence_as_it_is() -> None:
    asked = Instruction(DEFAULT).ask("Set {target} to {text}.", PT)
    assert asked == (
        "Translate the following English text into Portuguese (BR). "
        "Answer with the translation alone.\n"
        "English: Set {target} to {text}.\nPortuguese (BR): "
    )


def test_a_prompt_that_lacks_a_field_is_refused_by_its_name() -> None:
    with pytest.raises(
        ModelError, match=r"no \{target\}; it needs \{source\}, \{target\}, \{text\}"
    ):
        Instruction("Translate from {source}: {text}")


@pytest.mark.parametrize(
    ("said", "sentence", "text"),
    [
        ("Bom dia.", "Good morning.", "Bom dia."),
        ("  Bom dia.\n\nNote: this is informal.", "Good morning.", "Bom dia."),
        ("Sure! Here is the translation:\n\nBom dia.", "Good morning.", "Bom dia."),
        ("Here's your translation: Bom dia.", "Good morning.", "Bom dia."),
        ("Portuguese: Bom dia.", "Good morning.", "Bom dia."),
        ("Portuguese (BR): Bom dia.", "Good morning.", "Bom dia."),
        ("Portuguese translation:\nBom dia.", "Good morning.", "Bom dia."),
        ('"Bom dia."', "Good morning.", "Bom dia."),
        ("“Bom dia.”", "Good morning.", "Bom dia."),
        # What the sentence has of its own stays.
        ('"Bom dia."', '"Good morning."', '"Bom dia."'),
        ("Tradução: o texto", "Translation: the text", "Tradução: o texto"),
        ("Claro: eis aqui", "Sure: here it is", "Claro: eis aqui"),
        ('"Oi", disse ela.', "She said hi.", '"Oi", disse ela.'),
        ("", "Good morning.", ""),
        ("Sure! Here is the translation:", "Good morning.", ""),
    ],
)
def test_only_the_translation_is_taken(said: str, sentence: str, text: str) -> None:
    assert answer(said, sentence, PT)[0] == text


def test_a_translation_is_complete_with_its_line_and_not_with_a_remark_before_it() -> None:
    said = "\nSure, here is the translation:\n\nBom dia.\nNote"
    complete = [answer(said[:end], "Good morning.", PT)[1] for end in range(len(said) + 1)]
    assert complete.index(True) == said.index("\nNote") + 1
    assert all(complete[complete.index(True) :])
