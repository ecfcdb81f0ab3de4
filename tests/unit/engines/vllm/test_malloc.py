"""What the C library of vLLM's processes is told: ours, and an operator's own before it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hexkey.engines.vllm.malloc import keep_memory


def told() -> dict[str, int]:
    """What the C library itself reads from the environment, sizes in bytes."""
    (loader,) = set(re.findall(r"/\S+/ld-linux\S+", Path("/proc/self/maps").read_text()))
    listed = subprocess.run([loader, "--list-tunables"], capture_output=True, text=True, check=True)
    named = (line.partition(": ") for line in listed.stdout.splitlines())
    return {
        name.removeprefix("glibc.malloc."): int(rest.split()[0], 0)
        for name, _, rest in named
        if name.startswith("glibc.malloc.")
    }


@pytest.mark.parametrize(
    ("theirs", "changed"),
    [
        (None, {}),
        ("", {}),
        ("glibc.malloc.arena_max=3", {"arena_max": 3}),
        (
            "glibc.malloc.trim_threshold=4096:glibc.malloc.hugetlb=0",
            {"trim_threshold": 4096, "hugetlb": 0},
        ),
    ],
)
def test_an_operators_own_values_hold_and_ours_for_the_rest(
    theirs: str | None, changed: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    before = told()
    if theirs is not None:
        monkeypatch.setenv("GLIBC_TUNABLES", theirs)
    for _ in range(2):  # said again, it stays the same
        keep_memory()
        ours = {"hugetlb": 1, "mmap_threshold": 32 << 20, "trim_threshold": 1 << 30}
        assert told() == before | ours | changed
