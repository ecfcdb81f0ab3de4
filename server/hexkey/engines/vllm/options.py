"""The operator's settings of the ``vllm`` engine, and the environment that vLLM reads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from hexkey.engines import instruction
from hexkey.engines.options import Bounds  # noqa: TC001 - get_type_hints reads it
from hexkey.models.errors import ModelError
from hexkey.values import one_of, refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BOUNDS: Bounds = {
    "max_model_len": (0, 1 << 24),
    "gpu_memory_utilization": (0.01, 1.0),
    "kv_cache_gib": (0.0, 4096.0),
    "tensor_parallel_size": (1, 64),
    "max_num_seqs": (1, 4096),
    "max_loras": (0, 1024),
    "max_num_batched_tokens": (0, 1 << 20),
    "sleep_after_s": (0.0, 1e9),
    "threads": (0, 1024),
}
_FEW_CORES = 4
_REFUSED = ("VLLM_ALLOW_INSECURE_SERIALIZATION", "VLLM_SERVER_DEV_MODE")
_ENVIRONMENT = {
    "VLLM_PLUGINS": "",  # else any installed package could have its code imported
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "1",
    # So that the numbers of ``devices`` are the driver's, as nvidia-smi has them.
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    # A fork would hand the host's socket on, and its closing would tell nobody anything.
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What an operator may set; names and meanings are vLLM's where it has them.

    0 or an empty text leaves a choice to vLLM. ``kv_cache_gib`` is the memory for keys and values,
    and replaces what ``gpu_memory_utilization`` would leave for them; on a CPU name it always.
    ``enforce_eager`` unset means eager on a CPU, where compiling takes minutes, and graphs
    on a GPU. ``devices`` are the GPUs that the model lies on, by number; without any the first
    ``tensor_parallel_size``. ``max_loras`` adapters may be in one batch, 0 for all.
    After ``sleep_after_s`` without a request the model leaves its GPU until the next one.
    ``threads`` are those of the CPU build; 0 is all cores where there are up to four, else all but
    one. ``fim`` unset asks the vocabulary whether the model fills in the middle.
    ``translate_prompt`` is what the model is told of each sentence that it is to translate.
    ``step_reports`` are exact (told by a scheduler of our own inside vLLM) or coarse (guessed by
    the outputs). On a GPU one step, and a fall asleep, must be shorter than the model's
    ``stall_timeout_s``; ``max_num_batched_tokens`` bounds a step.
    """

    dtype: Annotated[str, one_of("auto", "bfloat16", "float16", "float32")] = "auto"
    max_model_len: int = 0
    gpu_memory_utilization: float = 0.9
    kv_cache_gib: float = 0.0
    enforce_eager: bool | None = None
    tensor_parallel_size: int = 1
    devices: tuple[int, ...] = ()
    max_num_seqs: int = 128
    max_loras: int = 0
    max_num_batched_tokens: int = 0
    enable_prefix_caching: bool = True
    quantization: str = ""
    sleep_after_s: float = 0.0
    threads: int = 0
    step_reports: Annotated[str, one_of("exact", "coarse")] = "exact"
    fim: bool | None = None
    translate_prompt: Annotated[str, refused(instruction.Instruction, ModelError)] = (
        instruction.DEFAULT
    )

    BOUNDS: ClassVar[Bounds] = _BOUNDS

    def wrong(self) -> Iterator[str]:
        """Yield what one option must be for the sake of another."""
        parts, devices = self.tensor_parallel_size, self.devices
        if devices and not (len(devices) == len(set(devices)) == parts and min(devices) >= 0):
            yield f"devices: must name {parts} GPUs by their numbers"

    def check(self, model: str) -> None:
        """Raise ``ModelError`` where there is something."""
        for line in self.wrong():
            raise ModelError(f"{model}.options.{line}")


def prepare_environment(threads: int, devices: Sequence[int] = ()) -> None:
    """Set what vLLM reads when it is imported; raises ``ModelError`` on a switch that is unsafe."""
    for name in _REFUSED:
        if os.environ.get(name, "0") not in {"", "0"}:
            raise ModelError(f"{name} is set, which opens the server to its callers; unset it")
    os.environ.update(_ENVIRONMENT)
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)  # one process keeps all of a model's metrics
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    if devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, devices))
    if threads:
        cores = sorted(os.sched_getaffinity(0))[:threads]
        os.environ["VLLM_CPU_OMP_THREADS_BIND"] = ",".join(map(str, cores))
    elif len(os.sched_getaffinity(0)) <= _FEW_CORES:
        # vLLM keeps one core for EngineCore, which is half of two; here that sleeps (executor.py).
        os.environ.setdefault("VLLM_CPU_NUM_OF_RESERVED_CPU", "0")
