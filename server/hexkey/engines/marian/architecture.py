"""The dimensions of a model, and the proof that it is of the kind these graphs compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hexkey.engines.marian.binary import MarianBinary

# What the graphs hold to be true, under Marian's own names; an absent key has this value too.
ASSUMED = {
    "type": "transformer",
    "transformer-decoder-autoreg": "rnn",
    "dec-cell": "ssru",
    "transformer-preprocess": "",
    "transformer-postprocess": "dan",
    "transformer-postprocess-emb": "d",
    "transformer-postprocess-top": "",
    "transformer-ffn-activation": "relu",
    "transformer-ffn-depth": 2,
    "transformer-no-projection": False,
    "transformer-pool": False,
    "transformer-tied-layers": [],
    "transformer-train-position-embeddings": False,
    "lemma-dim-emb": 0,
    "right-left": False,
}


@dataclass(frozen=True, slots=True)
class Architecture:
    """An encoder of self-attention layers and a decoder of SSRU and cross-attention layers."""

    dim: int
    dim_ffn: int
    heads: int
    encoder_depth: int
    decoder_depth: int
    source_words: int
    target_words: int
    source_embedding: str
    target_embedding: str

    @property
    def head_dim(self) -> int:
        """The width of one attention head."""
        return self.dim // self.heads

    @classmethod
    def of(cls, binary: MarianBinary) -> Architecture:
        """Read the model's own configuration; raise `ValueError` for a kind not computed here."""
        config = binary.config
        for key, assumed in ASSUMED.items():
            if config.get(key, assumed) != assumed:
                raise ValueError(
                    f"{binary.path}: {key} is {config[key]!r}; only {assumed!r} is supported"
                )

        def positive(key: str, value: object) -> int:
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{binary.path}: {key} is {value!r}, expected a positive number")
            return value

        words = config.get("dim-vocabs")
        if not isinstance(words, list) or len(words) != 2:  # noqa: PLR2004 - source and target
            raise ValueError(f"{binary.path}: dim-vocabs is {words!r}, expected two numbers")
        shared = "Wemb" in binary
        found = cls(
            dim=positive("dim-emb", config.get("dim-emb")),
            dim_ffn=positive("transformer-dim-ffn", config.get("transformer-dim-ffn")),
            heads=positive("transformer-heads", config.get("transformer-heads")),
            encoder_depth=positive("enc-depth", config.get("enc-depth")),
            decoder_depth=positive("dec-depth", config.get("dec-depth")),
            source_words=positive("dim-vocabs", words[0]),
            target_words=positive("dim-vocabs", words[1]),
            source_embedding="Wemb" if shared else "encoder_Wemb",
            target_embedding="Wemb" if shared else "decoder_Wemb",
        )
        if found.dim % 2 or found.dim % found.heads:
            raise ValueError(
                f"{binary.path}: dim-emb {found.dim} is odd or not for {found.heads} heads"
            )
        return found
