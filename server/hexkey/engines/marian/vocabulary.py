"""Sentencepiece vocabularies: text to token ids and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentencepiece import SentencePieceProcessor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EOS = 0
UNK = 1


class Vocabulary:
    """One side's vocabulary. Marian fixes `</s>` at 0 and `<unk>` at 1; others are refused."""

    def __init__(self, path: Path) -> None:
        try:
            self._processor = SentencePieceProcessor(model_proto=path.read_bytes())
        except RuntimeError as error:
            raise ValueError(f"{path}: not a sentencepiece model: {error}") from error
        special = self._processor.eos_id(), self._processor.unk_id()
        if special != (EOS, UNK):
            raise ValueError(f"{path}: </s> and <unk> are {special}, expected {(EOS, UNK)}")

    def __len__(self) -> int:
        return int(self._processor.vocab_size())

    def encode(self, text: str) -> list[int]:
        """Return the token ids of `text`, ended by EOS."""
        return [*self._processor.encode(text), EOS]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`, which hold no EOS."""
        return str(self._processor.decode(list(ids)))
