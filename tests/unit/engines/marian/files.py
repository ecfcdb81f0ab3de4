"""Hand-made Marian files: the three formats as their writers lay them out, and a tiny model."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import sentencepiece
import yaml

from hexkey.engines.marian.binary import BYTES, CONFIG, FLOAT32, INTGEMM8
from hexkey.engines.marian.shortlist import MAGIC

from .corpus import english_sentences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

DIM, DIM_FFN, HEADS = 16, 48, 2
SOURCE_WORDS, TARGET_WORDS = 120, 130
CONFIG_OF_TINY: dict[str, object] = {
    "type": "transformer",
    "transformer-decoder-autoreg": "rnn",
    "dec-cell": "ssru",
    "transformer-heads": HEADS,
    "transformer-dim-ffn": DIM_FFN,
    "dim-emb": DIM,
    "enc-depth": 2,
    "dec-depth": 3,
    "dim-vocabs": [SOURCE_WORDS, TARGET_WORDS],
}


class Tensor(NamedTuple):
    kind: int
    shape: tuple[int, ...]
    data: bytes


def floats(array: NDArray[np.float32]) -> Tensor:
    return Tensor(FLOAT32, array.shape, array.astype("<f4").tobytes())


def int8(array: NDArray[np.int8], multiplier: float) -> Tensor:
    return Tensor(INTGEMM8, array.shape, array.tobytes() + struct.pack("<f", multiplier))


def write_model(path: Path, tensors: Mapping[str, Tensor], config: object) -> Path:
    """Write a model file; a `config` that is not bytes becomes YAML."""
    text = config if isinstance(config, bytes) else yaml.safe_dump(config).encode() + b"\0"
    blobs = {**tensors, CONFIG: Tensor(BYTES, (len(text),), text)}
    parts = [struct.pack("<2Q", 1, len(blobs))]
    parts += [
        struct.pack("<4Q", len(name) + 1, blob.kind, len(blob.shape), len(blob.data))
        for name, blob in blobs.items()
    ]
    parts += [name.encode() + b"\0" for name in blobs]
    parts += [struct.pack(f"<{len(blob.shape)}i", *blob.shape) for blob in blobs.values()]
    parts += [struct.pack("<Q", 5), bytes(5)]
    parts += [blob.data for blob in blobs.values()]
    path.write_bytes(b"".join(parts))
    return path


def write_shortlist(path: Path, first: int, suggestions: Sequence[Sequence[int]]) -> Path:
    """Write a shortlist file: the target tokens that each source token suggests."""
    ids = [token for tokens in suggestions for token in tokens]
    offsets = np.cumsum([0, *map(len, suggestions)])
    header = struct.pack("<6Q", MAGIC, 0, first, first, len(offsets), len(ids))
    path.write_bytes(header + offsets.astype("<u8").tobytes() + np.array(ids, "<u4").tobytes())
    return path


def write_vocabulary(path: Path, sentences: Sequence[str], size: int, *, eos: int = 0) -> Path:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        vocab_size=size,
        eos_id=eos,
        unk_id=1 - eos,
        bos_id=-1,
        minloglevel=2,
    )
    path.write_bytes(model.getvalue())
    return path


def tiny_tensors() -> dict[str, Tensor]:
    """Random weights of a model whose two vocabularies are separate."""
    random = np.random.default_rng(0)

    def matrix(rows: int, columns: int) -> Tensor:
        return int8(random.integers(-127, 128, (rows, columns), np.int8), 200)

    def vector(size: int) -> Tensor:
        return floats(random.normal(0, 0.1, (1, size)).astype(np.float32))

    def product(name: str, rows: int, columns: int) -> dict[str, Tensor]:
        alpha = floats(np.full((1, 1), 20, np.float32))
        return {name: matrix(rows, columns), f"{name}_QuantMultA": alpha}

    def norm(name: str) -> dict[str, Tensor]:
        return {f"{name}_scale": floats(np.ones((1, DIM), np.float32)), f"{name}_bias": vector(DIM)}

    def attention(name: str) -> dict[str, Tensor]:
        tensors = norm(f"{name}_Wo_ln")
        for part in "qkvo":
            tensors |= product(f"{name}_W{part}", DIM, DIM) | {f"{name}_b{part}": vector(DIM)}
        return tensors

    def feed_forward(name: str) -> dict[str, Tensor]:
        return {
            **product(f"{name}_W1", DIM, DIM_FFN),
            f"{name}_b1": vector(DIM_FFN),
            **product(f"{name}_W2", DIM_FFN, DIM),
            f"{name}_b2": vector(DIM),
            **norm(f"{name}_ffn_ln"),
        }

    tensors = {
        "encoder_Wemb": matrix(SOURCE_WORDS, DIM),
        "decoder_Wemb": matrix(TARGET_WORDS, DIM),
        "decoder_ff_logit_out_b": vector(TARGET_WORDS),
        "none_QuantMultA": floats(np.full((1, 1), 20, np.float32)),
    }
    for depth in range(1, 3):
        tensors |= attention(f"encoder_l{depth}_self") | feed_forward(f"encoder_l{depth}_ffn")
    for depth in range(1, 4):
        prefix = f"decoder_l{depth}"
        tensors |= product(f"{prefix}_rnn_Wf", DIM, DIM) | product(f"{prefix}_rnn_W", DIM, DIM)
        tensors |= {f"{prefix}_rnn_bf": vector(DIM)} | norm(f"{prefix}_rnn_ffn_ln")
        tensors |= attention(f"{prefix}_context") | feed_forward(f"{prefix}_ffn")
    return tensors


def write_tiny(folder: Path) -> Path:
    """Write a whole model folder with separate vocabularies of different sizes."""
    sentences = english_sentences(100)
    write_vocabulary(folder / "srcvocab.ende.spm", sentences, SOURCE_WORDS)
    write_vocabulary(folder / "trgvocab.ende.spm", sentences, TARGET_WORDS)
    suggestions = [[word, word + 4] for word in range(SOURCE_WORDS)]
    write_shortlist(folder / "lex.ende.bin", 3, suggestions)
    write_model(folder / "model.ende.bin", tiny_tensors(), CONFIG_OF_TINY)
    return folder
