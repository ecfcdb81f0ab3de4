"""Whether the vllm models of one server fit into the memory there is, told before any is started.

Each model's host is a process of its own that takes its memory at its start, so what is asked for
too much would be found only by the last one to start, minutes later, or by the kernel.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hexkey.engines.vllm.options import Options

GIB = 1 << 30
OVERHEAD_GIB = 1.5
"""What vLLM's processes take beside weights and KV cache: code, buffers, activations."""
_INDEX = "model.safetensors.index.json"
_WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU, or the machine's own memory. ``free_gib`` is what nobody holds now."""

    name: str
    total_gib: float
    free_gib: float
    gpu: bool = True


@dataclass(frozen=True, slots=True)
class Need:
    """What one model takes of one device."""

    model: str
    device: str
    gib: float
    why: str


def needs(
    model: str, options: Options, weights_gib: float, devices: Sequence[Device]
) -> list[Need]:
    """Return what a model takes of each of its devices; ``ModelError`` where one is not there.

    A share (``gpu_memory_utilization``) is of the whole device. Where ``kv_cache_gib`` is named
    vLLM does not look at the share: the model takes its weights, that cache and the overhead.
    """
    numbers: Sequence[int] = options.devices or range(options.tensor_parallel_size)
    if not devices[0].gpu:
        numbers = [0] * options.tensor_parallel_size  # all parts lie in the one memory
    missing = [number for number in numbers if number >= len(devices)]
    if missing:
        there = ", ".join(one.name for one in devices)
        raise ModelError(f"{model}.options: it needs GPU {missing[0]}; there is: {there}")
    taken = [devices[number] for number in numbers]
    if options.kv_cache_gib:
        weights = weights_gib / len(taken)
        gib = weights + options.kv_cache_gib + OVERHEAD_GIB
        why = (
            f"weights {weights:.1f}, kv_cache_gib {options.kv_cache_gib:g}, overhead {OVERHEAD_GIB}"
        )
        return [Need(model, one.name, gib, why) for one in taken]
    share = options.gpu_memory_utilization
    why = f"gpu_memory_utilization {share:g}"
    return [Need(model, one.name, share * one.total_gib, why) for one in taken]


def misfits(asked: Sequence[Need], devices: Sequence[Device]) -> list[str]:
    """Return, for each device that is asked for more than it has, what fits on it and what not.

    Models are taken in the order of the configuration; one that does not fit takes nothing.
    """
    told = []
    for device in devices:
        left = device.free_gib
        fits, rest = [], []
        for need in (one for one in asked if one.device == device.name):
            line = f"{need.model} {need.gib:.1f} GiB ({need.why})"
            if need.gib <= left:
                left -= need.gib
                fits.append(line)
            else:
                rest.append(f"{line}, where {left:.1f} GiB are left")
        if rest:
            has = f"{device.free_gib:.1f} of {device.total_gib:.1f} GiB free"
            told.append(
                f"the vllm models do not fit on {device.name} ({has}). "
                f"Fits: {'; '.join(fits) or 'none'}. Does not fit: {'; '.join(rest)}. "
                "Lower gpu_memory_utilization, or name kv_cache_gib, or move a model elsewhere"
            )
    return told


def weights_gib(folder: Path, dtype: str) -> float:
    """Return what a model's weights take once loaded as ``dtype`` (``auto``: as they are)."""
    size = sum(file.stat().st_size for file in _weights(folder)) / GIB
    stored = _WIDTHS.get(_stored(folder / "config.json"))
    wanted = _WIDTHS.get(dtype)
    return size * wanted / stored if stored and wanted else size


def _weights(folder: Path) -> list[Path]:
    """The files that vLLM reads; some models come with their weights in a second form, too."""
    if folder.is_file():
        return [folder]
    files = list(folder.glob("*.safetensors"))
    try:
        named = set(json.loads((folder / _INDEX).read_bytes())["weight_map"].values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return files
    return [file for file in files if file.name in named]


def _stored(config: Path) -> str:
    try:
        told: Mapping[str, object] = json.loads(config.read_bytes())
    except (OSError, ValueError):
        return ""
    if "quantization_config" in told:
        return ""
    return str(told.get("dtype") or told.get("torch_dtype") or "")
