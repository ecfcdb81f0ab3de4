"""The frame of Codestral against the code that Mistral itself publishes, on its own tokenizer."""

from __future__ import annotations

import re
from pathlib import Path

import mistral_common
import pytest
import sentencepiece
from mistral_common.protocol.fim.request import FIMRequest
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

from hexkey.engines import fim
from hexkey.engines.prompts import PromptMaker
from hexkey.engines.vocabulary import Vocabulary
from hexkey.types import Autocomplete

MODEL = Path(mistral_common.__file__).parent / "data/mistral_instruct_tokenizer_240323.model.v3"


class Pieces(Vocabulary):
    def __init__(self) -> None:
        self._model = sentencepiece.SentencePieceProcessor(model_file=str(MODEL))
        ids = range(self._model.get_piece_size())
        tokens = {self._model.id_to_piece(one).encode(): one for one in ids}
        control = [one for one in ids if self._model.is_control(one)]
        super().__init__(tokens, control, self._model.bos_id())

    def _encode(self, text: str, *, special: bool) -> list[int]:
        ids: list[int] = self._model.encode(text, add_bos=special)
        return ids

    def _render(self, turns: list[dict[str, str]]) -> str:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("prefix", "suffix"),
    [
        ("def add(a, b):\n", "\n    return total\n"),
        ("x = ", "print(x)"),
        ("# naïve 漢字\nfor i in range(", "):\n\tpass"),
    ],
)
def test_the_ids_are_mistrals_own(prefix: str, suffix: str) -> None:
    vocabulary = Pieces()
    family = fim.detect(vocabulary.special)
    assert family is not None
    assert family.name == "codestral"
    ids = PromptMaker(vocabulary, family, 4096, "m").make(
        Autocomplete(prefix=prefix, suffix=suffix)
    )
    theirs = MistralTokenizer.from_file(str(MODEL)).encode_fim(
        FIMRequest(prompt=prefix, suffix=suffix)
    )
    assert ids == theirs.tokens
    assert re.search(r"\[SUFFIX\].*\[PREFIX\]", theirs.text or "", re.DOTALL)
