"""The lexical shortlist: which target tokens a source sentence can turn into.

File layout (little-endian): six u64 (magic, checksum, first, best, words, ids), then `words` u64
offsets, then `ids` u32 target tokens. Source token w suggests ids[offsets[w]:offsets[w + 1]]; the
`first` most frequent target tokens are always candidates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MAGIC = 0xF11A48D5013417F5
HEADER_WORDS = 6
ALIGNMENT = 16  # columns: a whole AVX-512 register of float32 logits


class Candidates(NamedTuple):
    """The target tokens a batch may produce, and which rows may produce which."""

    ids: NDArray[np.int64]  # (columns,) ascending from 0, a multiple of `ALIGNMENT` long
    allowed: NDArray[np.bool_]  # (rows, columns)


class Shortlist:
    """A shortlist file, wholly in memory (about 5 MB for a vocabulary of 32,000)."""

    def __init__(self, path: Path, *, vocabulary_size: int) -> None:
        def corrupt(why: str) -> ValueError:
            return ValueError(f"{path}: not a readable lexical shortlist: {why}")

        data = path.read_bytes()
        if len(data) < 8 * HEADER_WORDS:
            raise corrupt(f"it has {len(data)} bytes, less than a header")
        header = np.frombuffer(data, "<u8", HEADER_WORDS).tolist()
        magic, _checksum, first, _best, words, count = header
        if magic != MAGIC:
            raise corrupt(f"it starts with {magic:#x}, expected {MAGIC:#x}")
        expected = 8 * (HEADER_WORDS + words) + 4 * count
        if len(data) != expected:
            raise corrupt(f"its header promises {expected} bytes, but it has {len(data)}")
        offsets = np.frombuffer(data, "<u8", words, 8 * HEADER_WORDS).astype(np.int64)
        ids = np.frombuffer(data, "<u4", count, 8 * (HEADER_WORDS + words)).astype(np.int64)
        if words < 1 or offsets[0] < 0 or offsets[-1] > count or (np.diff(offsets) < 0).any():
            raise corrupt("its offsets do not ascend within its list of ids")
        if not 1 <= first <= vocabulary_size or (count and ids.max() >= vocabulary_size):
            raise corrupt(f"it names tokens outside the vocabulary of {vocabulary_size}")
        self._vocabulary_size = vocabulary_size
        self._offsets: list[int] = offsets.tolist()
        self._ids = ids
        self._first = first

    def candidates(self, batch: Sequence[Sequence[int]]) -> Candidates:
        """Look up a batch of source sentences.

        Each row is allowed its own candidates only, so that what a sentence may become does not
        depend on its batch-mates; the columns are the union over the rows.
        """
        used = np.zeros((len(batch), self._vocabulary_size), np.bool_)
        for row, sentence in zip(used, batch, strict=True):
            row[: self._first] = True
            row[self._suggestions(sentence)] = True
        ids = np.flatnonzero(used.any(axis=0))
        # Spare columns repeat the last token: the order holds, and the first of equals is chosen.
        ids = np.pad(ids, (0, -len(ids) % ALIGNMENT), mode="edge")
        return Candidates(ids, used[:, ids])

    def _suggestions(self, sentence: Sequence[int]) -> NDArray[np.int64]:
        offsets, ids = self._offsets, self._ids
        known = [word for word in set(sentence) if word < len(offsets) - 1]
        return np.concatenate(
            [ids[:0], *(ids[offsets[word] : offsets[word + 1]] for word in known)]
        )
