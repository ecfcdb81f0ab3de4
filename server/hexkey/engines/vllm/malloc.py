"""How the C library of vLLM's processes keeps the memory of their steps, on a CPU.

Each layer of each step takes buffers and gives them back, of the same sizes. The C library returns
large ones to the kernel, which clears them page by page when the next layer writes to them: that
was up to a quarter of a step full of prompts. Here those of up to 32 MiB are kept, as huge pages
where the kernel has some.
"""

from __future__ import annotations

import os

_TUNABLES = {
    "glibc.malloc.hugetlb": 1,
    "glibc.malloc.mmap_threshold": 32 << 20,
    "glibc.malloc.trim_threshold": 1 << 30,
}
"""32 MiB is the most that glibc takes; larger buffers come and go as before. Of what is free at the
heap's end at most 1 GiB is kept, which the room that ``memory.py`` leaves a host covers."""


def keep_memory() -> None:
    """Have the processes that start from now on keep what they free, but as an operator has it."""
    theirs = os.environ.get("GLIBC_TUNABLES", "")
    named = {one.partition("=")[0] for one in theirs.split(":")}
    ours = [f"{name}={value}" for name, value in _TUNABLES.items() if name not in named]
    os.environ["GLIBC_TUNABLES"] = ":".join([*ours, theirs] if theirs else ours)
