"""The vocabulary of a model that OpenVINO has loaded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hexkey.engines import vocabulary
from hexkey.engines.openvino.tokenizer import Encode, quickest

if TYPE_CHECKING:
    from collections.abc import Collection

    from openvino_genai import Tokenizer
    from tokenizers import Tokenizer as Quicker

_WORD_START = re.compile(r"(?<=\w) (?=\w)")
_SEARCH = 200  # characters in which a word begins, if there are words
_NAMES = 64  # of control tokens, which are tried
_BYTES_PER_CHARACTER = 4  # at most, and so as many tokens


def parts(text: str, size: int) -> list[str]:
    """Cut a text into parts of at most ``size`` characters, between words where there are words.

    No token of a usual vocabulary spans the beginning of a word, so the parts' tokens are the
    text's.
    """
    cut: list[str] = []
    start = 0
    while len(text) - start > size:
        found = _WORD_START.search(text, start + size - min(size // 2, _SEARCH), start + size)
        end = found.start() if found else start + size
        cut.append(text[start:end])
        start = end
    return [*cut, text[start:]]


class Vocabulary(vocabulary.Vocabulary):
    """Encodes and decodes for one model.

    The tokenizer silently drops the beginning of a text of more than ``limit`` tokens, so a longer
    one goes through it in parts. ``quicker`` takes its place where both come to the same ids.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        control: Collection[int],
        limit: int,
        quicker: Quicker | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._part = max(1, limit // _BYTES_PER_CHARACTER)
        self._plain: Encode = self._own
        super().__init__(tokenizer.get_vocab(), control, tokenizer.get_bos_token_id())
        self._plain = quickest(self._own, quicker, list(self.special)[:_NAMES])

    def _encode(self, text: str, *, special: bool) -> list[int]:
        ids: list[int] = []
        for part in parts(text, self._part):
            ids += self._own(part, special=True) if special else self._plain(part)
        return ids

    def _own(self, text: str, *, special: bool = False) -> list[int]:
        tensor = self._tokenizer.encode(text, add_special_tokens=special).input_ids
        ids: list[int] = tensor.data[0].tolist()
        return ids

    def _render(self, turns: list[dict[str, str]]) -> str:
        text: str = self._tokenizer.apply_chat_template(turns, add_generation_prompt=True)
        return text
