"""MiniLM by the book: one text at a time, float64, NumPy only, no padding and no batch.

Written from Devlin et al. 2018 (section 3, and appendix A.2 for the GELU) and Reimers and Gurevych
2019 (section 3, mean pooling), to be compared with; nothing is shared with the engine.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

Numbers = np.ndarray[Any, np.dtype[np.float64]]


def tensors(path: Path) -> dict[str, Numbers]:
    """Read a safetensors file: u64 length, JSON header, then the data."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    kinds = {"F32": "<f4", "I64": "<i8"}
    found = {}
    for name, entry in header.items():
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        flat = np.frombuffer(data[begin:end], kinds[entry["dtype"]])
        found[name] = flat.reshape(entry["shape"]).astype(np.float64)
    return found


def gelu(x: Numbers) -> Numbers:
    erf = np.vectorize(math.erf, otypes=[np.float64])
    return np.asarray(0.5 * x * (1 + erf(x / math.sqrt(2))))


class Reference:
    def __init__(self, folder: Path) -> None:
        self.w = tensors(folder / "model.safetensors")
        self.shape = json.loads((folder / "config.json").read_text())
        self.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()

    def linear(self, x: Numbers, name: str) -> Numbers:
        return np.asarray(x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"])

    def norm(self, x: Numbers, name: str) -> Numbers:
        mean = x.mean(-1, keepdims=True)
        spread = np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + self.shape["layer_norm_eps"])
        return np.asarray((x - mean) / spread * self.w[f"{name}.weight"] + self.w[f"{name}.bias"])

    def __call__(self, text: str) -> Numbers:
        """The text's vector, of unit length."""
        ids = self.tokenizer.encode(text).ids
        table = "embeddings.{}_embeddings.weight"
        x = self.w[table.format("word")][ids] + self.w[table.format("position")][: len(ids)]
        x = self.norm(x + self.w[table.format("token_type")][0], "embeddings.LayerNorm")
        for layer in range(self.shape["num_hidden_layers"]):
            x = self.layer(x, f"encoder.layer.{layer}")
        mean = x.mean(0)
        return np.asarray(mean / np.linalg.norm(mean))

    def layer(self, x: Numbers, name: str) -> Numbers:
        heads = self.shape["num_attention_heads"]
        size = self.shape["hidden_size"] // heads
        query, key, value = (
            self.linear(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value")
        )
        mixed = np.empty_like(x)
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            scores = query[:, part] @ key[:, part].T / math.sqrt(size)
            shares = np.exp(scores - scores.max(-1, keepdims=True))
            mixed[:, part] = shares / shares.sum(-1, keepdims=True) @ value[:, part]
        attended = self.linear(mixed, f"{name}.attention.output.dense")
        x = self.norm(x + attended, f"{name}.attention.output.LayerNorm")
        inner = gelu(self.linear(x, f"{name}.intermediate.dense"))
        return self.norm(x + self.linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
