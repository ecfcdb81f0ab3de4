"""Greedy translation of one batch at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hexkey.engines.marian.architecture import Architecture
from hexkey.engines.marian.binary import MarianBinary
from hexkey.engines.marian.decoder import build_decoder
from hexkey.engines.marian.encoder import build_encoder
from hexkey.engines.marian.shortlist import Shortlist
from hexkey.engines.marian.vocabulary import EOS, Vocabulary
from hexkey.engines.onnxgraph import Session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MAX_SOURCE_TOKENS = 1024  # a sentence's attention takes memory by the square of its length
MAX_TARGET_TOKENS = 1024
LENGTH_FACTOR = 2.5  # target tokens for a source token: Marian's own limit for these models
LENGTH_FLOOR = 8  # and this many more, since a short source may need a longer target
LENGTH_STEP = 4  # rows are padded to multiples of this, so that sums over them group the same way


class Translation(NamedTuple):
    """What one row became: the target tokens without EOS, their text, and whether EOS came."""

    ids: list[int]
    text: str
    finished: bool


class MarianTranslator:
    """One model, ready to run; it keeps no state between calls, so threads may share it.

    A row's translation is the same in any company: each row is held to its own candidates and its
    own limit, and padding adds exact zeros. Best at up to about eight rows of similar length.
    """

    def __init__(
        self,
        binary: MarianBinary,
        shape: Architecture,
        shortlist: Shortlist,
        source: Vocabulary,
        target: Vocabulary,
        *,
        threads: int = 1,
    ) -> None:
        self._shape = shape
        self._shortlist = shortlist
        self._source = source
        self._target = target
        self._positions = _sinusoids(MAX_SOURCE_TOKENS, shape.dim)
        self._encoder = Session(build_encoder(binary, shape), threads=threads)
        self._decoder = Session(build_decoder(binary, shape), threads=threads)

    @classmethod
    def load(cls, folder: Path, *, threads: int = 1) -> MarianTranslator:
        """Find a model's files in `folder` and make it ready.

        They are model.*.bin, lex.*.bin, and vocab.*.spm or both srcvocab.*.spm and trgvocab.*.spm.
        Raises `ValueError` naming what is absent, ambiguous, corrupt or of an unknown kind.
        """
        binary = MarianBinary(_only(folder, "model.*.bin"))
        shape = Architecture.of(binary)
        if any(folder.glob("srcvocab.*.spm")):
            source = Vocabulary(_only(folder, "srcvocab.*.spm"))
            target = Vocabulary(_only(folder, "trgvocab.*.spm"))
        else:
            source = target = Vocabulary(_only(folder, "vocab.*.spm"))
        if len(source) > shape.source_words or len(target) > shape.target_words:
            raise ValueError(
                f"{folder}: the vocabularies have {len(source)} and {len(target)} tokens, "
                f"the model {shape.source_words} and {shape.target_words}"
            )
        shortlist = Shortlist(_only(folder, "lex.*.bin"), vocabulary_size=len(target))
        return cls(binary, shape, shortlist, source, target, threads=threads)

    def encode(self, sentence: str) -> list[int]:
        """Return the source tokens of a sentence, EOS included."""
        return self._source.encode(sentence)

    def translate(
        self, batch: Sequence[Sequence[int]], *, max_tokens: Sequence[int] | None = None
    ) -> list[Translation]:
        """Translate rows of source tokens, each ended by EOS, to the end.

        A row stops at EOS, or after `LENGTH_FACTOR` times its length and `LENGTH_FLOOR` tokens, or
        after its `max_tokens`; EOS counts. A row of EOS alone becomes the empty text. Raises
        `ValueError` for a row that lacks its EOS, is longer than `MAX_SOURCE_TOKENS` or holds an
        unknown token, and for a `max_tokens` of another length than the batch.
        """
        self._check(batch)
        limits = np.array([_limit(row) for row in batch], np.int64)
        if max_tokens is not None:
            limits = np.array([min(pair) for pair in zip(limits, max_tokens, strict=True)])
        # A row of EOS alone is settled before it starts: the model would make up a text.
        chosen: list[list[int]] = [[EOS] if len(row) == 1 else [] for row in batch]
        going = [row for row, ids in enumerate(chosen) if not ids and limits[row] > 0]
        self._decode([batch[row] for row in going], limits[going], [chosen[row] for row in going])
        return [self._finish(ids) for ids in chosen]

    def _decode(
        self, batch: list[Sequence[int]], limits: NDArray[np.int64], chosen: list[list[int]]
    ) -> None:
        """Append to each row of `chosen` its tokens, and others after its EOS."""
        if not batch:
            return
        rows, shared, candidates = self._encode(batch)
        taken = 0
        while chosen:
            steps = int(limits.min()) - taken
            outputs = self._decoder.run(
                {
                    "steps": np.array(steps),
                    # Dropping rows copies the rest: worth it once a quarter are done.
                    "floor": np.array(len(chosen) - -(-len(chosen) // 4)),
                    "positions": self._positions[taken : taken + steps],
                    **rows,
                    **shared,
                }
            )
            columns = outputs["columns"][:, :, 0]
            for tokens, row in zip(candidates[columns.T].tolist(), chosen, strict=True):
                row.extend(tokens)
            taken += len(columns)
            going = np.flatnonzero(~outputs["next_finished"][:, 0] & (limits > taken))
            limits = limits[going]
            chosen = [chosen[row] for row in going]
            rows = {name: outputs.get(f"next_{name}", old)[going] for name, old in rows.items()}

    def _encode(
        self, batch: list[Sequence[int]]
    ) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]], NDArray[np.int64]]:
        """Return the decoder's inputs that have rows, those that have none, and the candidates."""
        lengths = np.array([len(row) for row in batch], np.int32)
        width = -(-int(lengths.max()) // LENGTH_STEP) * LENGTH_STEP
        ids = np.full((len(batch), width), EOS, np.int64)
        for padded, row in zip(ids, batch, strict=True):
            padded[: len(row)] = row
        candidates = self._shortlist.candidates(batch)
        rows = self._encoder.run(
            {
                "ids": ids,
                "positions": self._positions[:width],
                "lengths": lengths,
                "candidates": candidates.ids,
                "allowed": candidates.allowed[:, None],
            }
        )
        shared = {name: rows.pop(name) for name in ("output_weights", "embeddings")}
        real = np.arange(width) < lengths[:, None]
        rows["mask"] = np.where(real, np.float32(0), np.float32(-np.inf))[:, None, None]
        zeros = np.zeros((len(batch), 1, self._shape.dim), np.float32)
        rows["previous"] = zeros
        for depth in range(1, self._shape.decoder_depth + 1):
            rows[f"state_{depth}"] = zeros
        rows["finished"] = np.zeros((len(batch), 1), np.bool_)
        return rows, shared, candidates.ids

    def _finish(self, ids: list[int]) -> Translation:
        finished = EOS in ids
        kept = ids[: ids.index(EOS)] if finished else ids
        return Translation(kept, self._target.decode(kept), finished)

    def _check(self, batch: Sequence[Sequence[int]]) -> None:
        for row in batch:
            if not 1 <= len(row) <= MAX_SOURCE_TOKENS:
                raise ValueError(f"a row has {len(row)} tokens, expected 1 to {MAX_SOURCE_TOKENS}")
            if row[-1] != EOS:
                raise ValueError("a row has no EOS at its end")
            if min(row) < 0 or max(row) >= len(self._source):
                raise ValueError(f"a row holds tokens outside the {len(self._source)} known ones")


def _limit(row: Sequence[int]) -> int:
    return min(int(LENGTH_FACTOR * len(row)) + LENGTH_FLOOR, MAX_TARGET_TOKENS)


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise ValueError(f"{folder}: expected one file {pattern}, found {names}")
    return found[0]


def _sinusoids(length: int, dim: int) -> NDArray[np.float32]:
    """Return position embeddings (length, dim): sines in the first half, cosines in the second."""
    half = dim // 2
    frequencies = 10000.0 ** (-np.arange(half) / (half - 1))
    angles = np.arange(length)[:, None] * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
