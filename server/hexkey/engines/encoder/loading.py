"""From a folder of files to an engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hexkey.engines.batcher import BATCHES_AT_HAND
from hexkey.engines.encoder.architecture import read_architecture, read_pooling, read_window
from hexkey.engines.encoder.engine import EncoderEngine
from hexkey.engines.encoder.model import Encoder
from hexkey.engines.options import BATCH_BOUNDS, Bounds, read_options
from hexkey.models.errors import ModelError
from hexkey.types import ModelInfo

if TYPE_CHECKING:
    from pathlib import Path

    from hexkey.engines.base import LoadContext

NOTE = (
    "a bi-encoder scores: the cosine between two texts that were each read alone; a cross-encoder, "
    "which reads both together, is more exact"
)
WARM_UP = "The quick brown fox jumps over the lazy dog."


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """What an operator may set; ``max_tokens`` 0 is the window that the model's files name."""

    threads: int = 1
    max_batch: int = 16
    max_padded_tokens: int = 2048
    max_tokens: int = 0

    BOUNDS: ClassVar[Bounds] = {**BATCH_BOUNDS, "max_tokens": (0, 1 << 20)}


def load(context: LoadContext) -> EncoderEngine:
    """Load a model folder; ``ModelError`` where its files cannot be used."""
    options = read_options(EncoderOptions, context.options, context.model)
    encoder, dimensions = _encoder(context.folder, options, context)
    info = ModelInfo(
        context_tokens=encoder.window,
        concurrency=BATCHES_AT_HAND * options.max_batch,
        dimensions=dimensions,
        notes=(NOTE,),
    )
    return EncoderEngine(encoder, info, options.max_batch, options.max_padded_tokens)


def _encoder(folder: Path, options: EncoderOptions, context: LoadContext) -> tuple[Encoder, int]:
    import safetensors
    import safetensors.numpy
    import tokenizers

    from hexkey.engines.encoder.graph import build
    from hexkey.engines.onnxgraph import Session

    shape = read_architecture(folder)
    window = read_window(folder, shape)
    if options.max_tokens > shape.max_position_embeddings:
        raise ModelError(
            f"max_tokens: {context.model} has {shape.max_position_embeddings} positions, "
            f"so at most so many; found {options.max_tokens}"
        )
    context.progress("building the graph")
    try:
        weights = safetensors.numpy.load_file(folder / "model.safetensors")
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{folder}: {error}") from error
    except Exception as error:  # tokenizers raises no kind of its own
        raise ModelError(f"{folder / 'tokenizer.json'} cannot be read: {error}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True  # "[SEP]" in a caller's text is text
    session = Session(build(weights, shape, read_pooling(folder)), threads=options.threads)
    encoder = Encoder(tokenizer, session, shape.vocab_size, options.max_tokens or window)
    encoder.vectors([encoder.encode(WARM_UP)])
    return encoder, shape.hidden_size
