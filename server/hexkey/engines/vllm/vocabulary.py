"""The vocabulary of a model with a ``tokenizer.json``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jinja2
from tokenizers import Tokenizer

from hexkey.engines import vocabulary
from hexkey.engines.fim import FAMILIES
from hexkey.engines.vocabulary import looks_special
from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

_PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))


def byte_letters() -> dict[str, int]:
    """GPT-2's letters for bytes: printable Latin-1 stands for itself, the rest follow U+0100."""
    others = [byte for byte in range(256) if byte not in _PRINTABLE]
    letters = {chr(byte): byte for byte in _PRINTABLE}
    return letters | {chr(0x100 + at): byte for at, byte in enumerate(others)}


class Vocabulary(vocabulary.Vocabulary):
    """Encodes and decodes for one model; ``template`` is vLLM's tokenizer, which renders chats.

    ``eos`` are the ids that end an output by the model's own configuration.
    """

    def __init__(self, file: Path, template: Any, eos: frozenset[int]) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:
            raise ModelError(f"{file} is missing or cannot be read; vllm needs it here") from error
        self._template = template
        tokens = _tokens(self._tokenizer, file)
        begin_id = template.bos_token_id
        if begin_id is None:
            begin_id = min(eos, default=0)
        super().__init__(tokens, _control(self._tokenizer, tokens) | eos, begin_id)

    @property
    def chats(self) -> bool:
        """Whether the model has a chat template."""
        return bool(self._template.chat_template)

    def _encode(self, text: str, *, special: bool) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=special).ids
        return ids

    def _render(self, turns: list[dict[str, str]]) -> str:
        try:
            text: str = self._template.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True
            )
        except jinja2.TemplateError as error:
            raise RuntimeError from error
        return text


def _tokens(tokenizer: Tokenizer, file: Path) -> dict[bytes, int]:
    """Every token as the bytes it stands for, as far as the decoder is one of the two known."""
    decoder = json.dumps(json.loads(tokenizer.to_str())["decoder"])
    added = set(tokenizer.get_added_tokens_decoder())
    known = tokenizer.get_vocab(with_added_tokens=True)
    if '"ByteLevel"' in decoder:
        letters = byte_letters()
        return {
            token.encode()
            if number in added
            else bytes(letters[letter] for letter in token): number
            for token, number in known.items()
        }
    if '"ByteFallback"' in decoder:
        return {token.encode(): number for token, number in known.items()}
    raise ModelError(f"{file} is neither of the byte-level nor of the SentencePiece kind")


def _control(tokenizer: Tokenizer, tokens: dict[bytes, int]) -> frozenset[int]:
    """Ids that stand for no text: what the file calls special, and what is written like it."""
    # Qwen's file, for one, does not call its tokens to fill in the middle special.
    framing = {token.encode() for family in FAMILIES for token in family.tokens}
    added = tokenizer.get_added_tokens_decoder()
    return frozenset(
        number
        for token, number in tokens.items()
        if (number in added and (added[number].special or looks_special(token))) or token in framing
    )
