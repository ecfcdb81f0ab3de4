"""What a sentence encoder's folder says of the model: its shape, its pooling, its window.

The files are those of a Sentence Transformers model: ``config.json`` of the encoder, and beside it
``1_Pooling/config.json`` and ``sentence_bert_config.json``, which may be left out.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

import msgspec

from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


class Pooling(StrEnum):
    """How the vectors of a text's tokens become one."""

    MEAN = "mean"
    FIRST = "first"


class Architecture(msgspec.Struct, frozen=True):
    """``config.json`` of a BERT: post-norm layers, learned positions, exact GELU."""

    model_type: str
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_hidden_layers: int
    max_position_embeddings: int
    vocab_size: int
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-12
    position_embedding_type: str = "absolute"

    @property
    def head_dim(self) -> int:
        """Numbers of one head."""
        return self.hidden_size // self.num_attention_heads


class _Pooling(msgspec.Struct, frozen=True):
    pooling_mode_cls_token: bool = False
    pooling_mode_mean_tokens: bool = True
    pooling_mode_max_tokens: bool = False
    pooling_mode_mean_sqrt_len_tokens: bool = False


class _Window(msgspec.Struct, frozen=True):
    max_seq_length: int | None = None


def read_architecture(folder: Path) -> Architecture:
    """Return the encoder's shape; ``ModelError`` where this engine cannot compute it."""
    shape = _read(folder / "config.json", Architecture)
    for name, wanted in (
        ("model_type", "bert"),
        ("hidden_act", "gelu"),
        ("position_embedding_type", "absolute"),
    ):
        found = getattr(shape, name)
        if found != wanted:
            raise ModelError(f"{folder}: {name} is {found!r}; this engine computes {wanted!r} only")
    if shape.hidden_size % shape.num_attention_heads:
        raise ModelError(f"{folder}: hidden_size is no multiple of num_attention_heads")
    return shape


def read_pooling(folder: Path) -> Pooling:
    """Return the pooling, the mean where nothing is said; ``ModelError`` for any other kind."""
    path = folder / "1_Pooling" / "config.json"
    said = _read(path, _Pooling) if path.is_file() else _Pooling()
    if said.pooling_mode_max_tokens or said.pooling_mode_mean_sqrt_len_tokens:
        raise ModelError(f"{path}: only the mean and the first token's vector are computed")
    return Pooling.FIRST if said.pooling_mode_cls_token else Pooling.MEAN


def read_window(folder: Path, shape: Architecture) -> int:
    """Return the most tokens of one text, special ones included."""
    path = folder / "sentence_bert_config.json"
    said = _read(path, _Window).max_seq_length if path.is_file() else None
    return min(said or shape.max_position_embeddings, shape.max_position_embeddings)


def _read(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise ModelError(f"{path} cannot be read; a sentence encoder needs it") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: {error}") from error
