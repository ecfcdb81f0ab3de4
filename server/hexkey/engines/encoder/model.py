"""One sentence encoder, ready to compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hexkey.errors import invalid

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    from hexkey.engines.onnxgraph import Session


class Encoder:
    """A model that is ready: texts to ids, batches of ids to vectors."""

    def __init__(
        self, tokenizer: Tokenizer, session: Session, vocabulary: int, window: int
    ) -> None:
        self._tokenizer = tokenizer
        self._session = session
        self._vocabulary = vocabulary
        self.window = window
        self._begin, *_, self._end = tokenizer.encode("").ids

    def encode(self, text: str) -> list[int]:
        """Return a text's ids, special ones included, however long."""
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def framed(self, tokens: tuple[int, ...]) -> list[int]:
        """Return ids as a caller sent them, with the special ones around where they lack.

        Raises ``ServeError`` for what is no id of this model.
        """
        if max(tokens) >= self._vocabulary:
            known = f"the model knows the tokens 0 to {self._vocabulary - 1} only"
            raise invalid(f"{known}; send text, or ids of its own tokenizer", "input")
        if tokens[0] == self._begin:
            return list(tokens)
        return [self._begin, *tokens, self._end]

    def cut(self, ids: list[int]) -> list[int]:
        """Return ids that fit into the window, the last one kept."""
        return ids if len(ids) <= self.window else [*ids[: self.window - 1], ids[-1]]

    def vectors(self, rows: list[list[int]]) -> NDArray[np.float32]:
        """Return (rows, dimensions), each row the same in any company but for rounding."""
        length = max(map(len, rows))
        ids = np.zeros((len(rows), length), np.int64)
        mask = np.zeros((len(rows), length), np.float32)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        vectors: NDArray[np.float32] = self._session.run({"ids": ids, "mask": mask})["vectors"]
        return vectors
