"""Loads a GGUF file or an OpenVINO IR folder into the ``openvino`` engine."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from openvino import Tensor
from openvino_genai import ContinuousBatchingPipeline, GenerationConfig, SchedulerConfig

from hexkey.engines import fim
from hexkey.engines.base import SPARE
from hexkey.engines.openvino.engine import MAX_BATCHED_TOKENS, OpenvinoEngine
from hexkey.engines.openvino.files import inspect_files
from hexkey.engines.openvino.prefixes import BLOCK_TOKENS, PrefixMirror
from hexkey.engines.openvino.vocabulary import Vocabulary
from hexkey.engines.options import Bounds, read_options
from hexkey.engines.prompts import PromptMaker
from hexkey.engines.vocabulary import looks_special
from hexkey.models.errors import ModelError
from hexkey.types import ModelInfo

if TYPE_CHECKING:
    from openvino_genai import Tokenizer

    from hexkey.engines.base import LoadContext

# By default activations, and keys and values, are rounded to 8 bits in groups that depend on how
# the threads share the work, and so on the size of the batch.
_REPRODUCIBLE = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}


@dataclass(frozen=True, slots=True)
class Options:
    """The operator's settings.

    0 leaves ``threads`` to the machine and ``context_tokens`` to the model; ``fim`` unset asks the
    vocabulary whether the model fills in the middle. ``reproducible`` computes in 32-bit floats
    throughout, so that greedy answers do not depend on the requests beside them; it is about three
    times slower.
    """

    threads: int = 0
    cache_gib: int = 1
    max_sequences: int = 64
    context_tokens: int = 0
    prefix_caching: bool = True
    fim: bool | None = None
    reproducible: bool = False

    # The engine's account of a step holds while every running sequence fits into it.
    BOUNDS: ClassVar[Bounds] = {
        "threads": (0, 1024),
        "cache_gib": (1, 1024),
        "max_sequences": (1, MAX_BATCHED_TOKENS),
        "context_tokens": (0, 1 << 24),
    }


def load(context: LoadContext) -> OpenvinoEngine:
    """Load a model; raises ``ModelError`` naming the option or the file that is at fault."""
    options = read_options(Options, context.options, context.model)
    files = inspect_files(context.folder, options.context_tokens)
    context.progress(f"loading {files.path.name}")
    try:
        pipeline = ContinuousBatchingPipeline(
            str(files.path), _scheduler(options), "CPU", _properties(options)
        )
    except RuntimeError as error:
        first = str(error).strip().splitlines()[-1]
        raise ModelError(f"{files.path} cannot be loaded by OpenVINO: {first}") from error
    tokenizer = pipeline.get_tokenizer()
    control = _control(tokenizer, files.control)
    vocabulary = Vocabulary(tokenizer, control, files.context_tokens, files.tokenizer)
    context.progress("warming up")
    blocks = _warm_up(pipeline, vocabulary)
    window = min(options.context_tokens or files.context_tokens, blocks * BLOCK_TOKENS)
    family = fim.detect(vocabulary.special) if options.fim is not False else None
    if options.fim and family is None:
        raise ModelError(f"{context.model} has no tokens to fill in the middle; remove 'fim: true'")
    info = ModelInfo(
        context_tokens=window,
        concurrency=options.max_sequences + ceil(options.max_sequences / SPARE),
        fim=family is not None,
        chat=bool(tokenizer.chat_template),
        logprobs=True,
        notes=(f"KV cache for {blocks * BLOCK_TOKENS} tokens",),
    )
    return OpenvinoEngine(
        pipeline,
        info=info,
        vocabulary=vocabulary,
        prompts=PromptMaker(vocabulary, family, window, context.model),
        cache=PrefixMirror(blocks if options.prefix_caching else 0),
        max_sequences=options.max_sequences,
    )


def _properties(options: Options) -> dict[str, object]:
    """Settings of OpenVINO's CPU plugin."""
    properties: dict[str, object] = dict(_REPRODUCIBLE) if options.reproducible else {}
    if options.threads:
        properties["INFERENCE_NUM_THREADS"] = options.threads
    return properties


def _scheduler(options: Options) -> SchedulerConfig:
    config = SchedulerConfig()
    config.cache_size = options.cache_gib
    config.max_num_seqs = options.max_sequences
    config.max_num_batched_tokens = MAX_BATCHED_TOKENS
    config.dynamic_split_fuse = True
    config.enable_prefix_caching = options.prefix_caching
    return config


def _control(tokenizer: Tokenizer, told: frozenset[int] | None) -> frozenset[int]:
    """Return the ids that stand for no text; any of them ends an output."""
    if told is None:
        tokens: dict[bytes, int] = tokenizer.get_vocab()
        told = frozenset(number for token, number in tokens.items() if looks_special(token))
    return told | {tokenizer.get_eos_token_id()}


def _warm_up(pipeline: ContinuousBatchingPipeline, vocabulary: Vocabulary) -> int:
    """Run the first step, which is slow, and return the blocks that the KV cache has."""
    config = GenerationConfig()
    config.max_new_tokens = 1
    # Held until the step is over: a handle that goes takes its sequence along.
    handle = pipeline.add_request(0, Tensor(np.array([[vocabulary.nothing]])), config)
    pipeline.step()
    handle.read()
    percent: float = pipeline.get_metrics().cache_usage  # by one token, so by one block
    return round(100 / percent)
