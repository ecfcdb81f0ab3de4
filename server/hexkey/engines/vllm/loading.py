"""Loads a folder in the Hub's layout into the ``vllm`` engine."""

from __future__ import annotations

import contextlib
import os
from math import ceil
from typing import TYPE_CHECKING, Any

from hexkey.engines import fim, sharedmemory
from hexkey.engines.base import SPARE
from hexkey.engines.options import read_options
from hexkey.engines.prompts import PromptMaker
from hexkey.engines.vllm import adapters
from hexkey.engines.vllm.devices import turn
from hexkey.engines.vllm.options import Options, prepare_environment
from hexkey.models.errors import ModelError
from hexkey.types import ModelInfo

if TYPE_CHECKING:
    from vllm.config import VllmConfig

    from hexkey.engines.base import LoadContext
    from hexkey.engines.vllm.engine import VllmEngine

_GIB = 1 << 30


def load(context: LoadContext) -> VllmEngine:
    """Load a model; raises ``ModelError`` naming the option or the file that is at fault."""
    options = read_options(Options, context.options, context.model)
    options.check(context.model)
    prepare_environment(options.threads, options.devices)
    sharedmemory.sweep()
    try:
        from vllm.v1.engine.async_llm import AsyncLLM

        import vllm
    except ImportError as error:
        raise ModelError(
            "vLLM is not installed here; pip install 'hexkey[gpu]', or see docs/adr/0003-vllm.md"
        ) from error
    from vllm.platforms import current_platform

    from hexkey.engines.vllm import scheduler
    from hexkey.engines.vllm.engine import VllmEngine
    from hexkey.engines.vllm.requests import Requests
    from hexkey.engines.vllm.statistics import Statistics
    from hexkey.engines.vllm.vocabulary import Vocabulary

    context.progress(f"loading {context.folder.name} with vLLM {vllm.__version__}")
    config = _config(context, options)
    notes = []
    known = scheduler.fits(vllm.__version__)
    exact = known and options.step_reports == "exact"
    if exact:
        asynchronous = config.scheduler_config.async_scheduling
        kind = scheduler.AccountingAsyncScheduler if asynchronous else scheduler.AccountingScheduler
        config.scheduler_config.scheduler_cls = f"{kind.__module__}.{kind.__qualname__}"
    elif not known:
        notes.append(f"vLLM {vllm.__version__} is not the one hexkey knows: coarse step reports")
    try:
        with contextlib.nullcontext() if current_platform.is_cpu() else turn():
            llm = AsyncLLM.from_vllm_config(config, disable_log_stats=not known)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"vLLM cannot start {context.model}; its log says why") from error
    template: Any = llm.renderer.tokenizer
    vocabulary = Vocabulary(context.folder / "tokenizer.json", template, _eos(llm.model_config))
    family = fim.detect(vocabulary.special) if options.fim is not False else None
    if options.fim and family is None:
        raise ModelError(f"{context.model} has no tokens to fill in the middle; remove 'fim: true'")
    window = llm.model_config.max_model_len
    cache = config.cache_config
    notes.append(f"KV cache for {(cache.num_gpu_blocks or 0) * cache.block_size} tokens")
    info = ModelInfo(
        context_tokens=window,
        concurrency=options.max_num_seqs + ceil(options.max_num_seqs / SPARE),
        fim=family is not None,
        chat=vocabulary.chats,
        logprobs=True,
        notes=tuple(notes),
    )
    prompts = PromptMaker(vocabulary, family, window, context.model)
    requests = Requests(
        llm.input_processor,
        adapters=context.adapters,
        stops=sorted(vocabulary.control),
        window=window,
    )
    return VllmEngine(
        llm,
        info=info,
        vocabulary=vocabulary,
        prompts=prompts,
        requests=requests,
        sleep_after_s=options.sleep_after_s,
        statistics=Statistics(llm.logger_manager) if known else None,
    )


def _config(context: LoadContext, options: Options) -> VllmConfig:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.platforms import current_platform

    chosen: dict[str, Any] = {
        "max_model_len": options.max_model_len or None,
        "quantization": options.quantization or None,
        "max_num_batched_tokens": options.max_num_batched_tokens or None,
        "kv_cache_memory_bytes": int(options.kv_cache_gib * _GIB) or None,
        **adapters.arguments(context.adapters, options.max_loras, cpu=current_platform.is_cpu()),
    }
    eager = options.enforce_eager
    if eager is None:
        eager = current_platform.is_cpu()
    if eager:
        # Else the first request with log probabilities would wait for a compiler, if there is one.
        os.environ["TORCHDYNAMO_DISABLE"] = "1"
    try:
        return AsyncEngineArgs(
            model=str(context.folder),
            # The CPU build has no sleep mode: there it only stops scheduling.
            enable_sleep_mode=options.sleep_after_s > 0 and not current_platform.is_cpu(),
            served_model_name=context.model,
            # Sampling comes with each request and from nowhere else.
            generation_config="vllm",
            dtype=options.dtype,
            gpu_memory_utilization=options.gpu_memory_utilization,
            enforce_eager=eager,
            tensor_parallel_size=options.tensor_parallel_size,
            max_num_seqs=options.max_num_seqs,
            enable_prefix_caching=options.enable_prefix_caching,
            scheduling_policy="priority",
            **{name: value for name, value in chosen.items() if value is not None},
        ).create_engine_config()
    except (ValueError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise ModelError(f"vLLM does not take {context.model}: {first}") from error


def _eos(model_config: Any) -> frozenset[int]:
    """The ids that end an output, by the model's own generation_config.json and config.json."""
    told = (
        model_config.try_get_generation_config().get("eos_token_id"),
        getattr(model_config.hf_text_config, "eos_token_id", None),
    )
    return frozenset(
        number
        for one in told
        if one is not None
        for number in (one if isinstance(one, list) else [one])
    )
