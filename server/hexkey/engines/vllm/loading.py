"""Loads a folder in the Hub's layout into the ``vllm`` engine."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from hexkey.engines import sharedmemory
from hexkey.engines.options import read_options
from hexkey.engines.vllm import adapters, devices
from hexkey.engines.vllm.options import Options, prepare_environment
from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from types import ModuleType

    from vllm.config import VllmConfig

    from hexkey.engines.base import LoadContext
    from hexkey.engines.vllm.engine import VllmEngine

_GIB = 1 << 30
_NO_SLEEP = "asleep, a model on a CPU frees no memory; set idle_unload_s to have it unloaded"


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

    from hexkey.engines.vllm import kinds
    from hexkey.engines.vllm.engine import VllmEngine
    from hexkey.engines.vllm.statistics import Statistics

    context.progress(f"loading {context.folder.name} with vLLM {vllm.__version__}")
    config = _config(context, options)
    notes = []
    scheduler, executor = _overriding(vllm.__version__)
    known = scheduler is not None
    exact = known and options.step_reports == "exact"
    if scheduler is not None and exact:
        asynchronous = config.scheduler_config.async_scheduling
        own = scheduler.AccountingAsyncScheduler if asynchronous else scheduler.AccountingScheduler
        config.scheduler_config.scheduler_cls = f"{own.__module__}.{own.__qualname__}"
    elif not known:
        notes.append(f"vLLM {vllm.__version__} is not the one hexkey knows: coarse step reports")
    calm = executor if current_platform.is_cpu() else None
    if calm is not None:
        calm.install(config)
    try:
        alone = contextlib.nullcontext() if current_platform.is_cpu() else devices.turn()
        with alone, sharedmemory.followed(os.getpgid(0)):
            llm = AsyncLLM.from_vllm_config(config, disable_log_stats=not known)
    except (RuntimeError, ValueError) as error:
        why = f"vLLM cannot start {context.model}; its log says why"
        raise ModelError("; ".join((why, *_misfit(context)))) from error
    cache = config.cache_config
    notes.append(f"KV cache for {(cache.num_gpu_blocks or 0) * cache.block_size} tokens")
    if options.sleep_after_s and current_platform.is_cpu():
        context.progress(f"{context.model}: {_NO_SLEEP}")
        notes.append(_NO_SLEEP)
    reads = llm.model_config.runner_type == "pooling"
    make = kinds.pooling if reads else kinds.generation
    kind, requests = make(llm, context, options, tuple(notes))
    return VllmEngine(
        llm,
        kind,
        adapters=requests.adapters,
        statistics=Statistics(llm.logger_manager) if known else None,
        sleep_after_s=options.sleep_after_s,
        exact=exact,
        workers=calm.workers(os.getpgid(0)) if calm is not None else (),
    )


def _overriding(version: str) -> tuple[ModuleType | None, ModuleType | None]:
    """Return the scheduler and the executor of our own, where this vLLM has what they override."""
    try:
        from hexkey.engines.vllm import executor, scheduler

        if scheduler.fits(version):
            return scheduler, executor if executor.fits() else None
    except (ImportError, AttributeError):
        pass  # it has moved, and vLLM is used as it is
    return None, None


def _misfit(context: LoadContext) -> list[str]:
    """What of a model that vLLM could not start does not fit: a later load is not planned ahead."""
    try:
        devices.fit([(context.model, str(context.folder), context.options)])
    except ModelError as error:
        return [str(error)]
    return []


def _config(context: LoadContext, options: Options) -> VllmConfig:
    from vllm.config import StructuredOutputsConfig
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.platforms import current_platform
    from vllm.usage.usage_lib import UsageContext

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
            # An encoder has no prefixes, and vLLM fails to start with the switch on.
            enable_prefix_caching=None if options.enable_prefix_caching else False,
            scheduling_policy="priority",
            # Compact, since a small model that may write white space for ever often does.
            structured_outputs_config=StructuredOutputsConfig(
                backend="xgrammar", disable_any_whitespace=True
            ),
            **{name: value for name, value in chosen.items() if value is not None},
            # Of which vLLM takes its defaults for how many tokens a step may have.
        ).create_engine_config(UsageContext.OPENAI_API_SERVER)
    except (ValueError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise ModelError(f"vLLM does not take {context.model}: {first}") from error
