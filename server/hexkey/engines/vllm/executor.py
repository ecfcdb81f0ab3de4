"""vLLM's executor for a CPU: it waits without a core of its own.

EngineCore reads the Worker's answers from shared memory, and looks for them without a pause for a
second after each (``SpinCondition``). Beside a GPU that saves microseconds. On a CPU it takes a
core from those who compute and serve, so here EngineCore sleeps until it is notified.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

from vllm.distributed.device_communicators.shm_broadcast import SpinCondition
from vllm.v1.executor.multiproc_executor import MultiprocExecutor

from hexkey.engines.sharedmemory import members
from hexkey.engines.vllm.malloc import keep_memory

if TYPE_CHECKING:
    from vllm.config import VllmConfig

_RECHECK_MS = 2
"""Of two answers that follow each other closely only the first may be notified of (the socket
keeps one message), and vLLM would look for the second after five seconds."""


_TITLE = b"VLLM::Worker"


def workers(group: int) -> tuple[int, ...]:
    """Return the processes of a group that compute, by the title that vLLM gives them."""
    return tuple(pid for pid in members(group) if _title(pid).startswith(_TITLE))


def install(config: VllmConfig) -> None:
    """Have vLLM start with this executor."""
    config.parallel_config.distributed_executor_backend = CalmExecutor
    keep_memory()


def _title(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it ended
        return b""


def fits() -> bool:
    """Tell whether the installed vLLM has the interface, not public, that this file overrides."""
    spins = "busy_loop_s" in inspect.signature(SpinCondition).parameters
    waits = tuple(inspect.signature(SpinCondition.wait).parameters) == ("self", "timeout_ms")
    return spins and waits and hasattr(MultiprocExecutor, "_post_init_executor")


class _Calm(SpinCondition):  # type: ignore[misc]
    """Waits as its base does once that has stopped to spin, and looks again soon."""

    def wait(self, timeout_ms: int | None = None) -> None:
        super().wait(_RECHECK_MS if timeout_ms is None else min(timeout_ms, _RECHECK_MS))


class CalmExecutor(MultiprocExecutor):  # type: ignore[misc]
    """Starts as its base does, and calms the queues of answers."""

    def _post_init_executor(self) -> None:
        super()._post_init_executor()
        for queue in self.response_mqs:
            queue._spin_condition.__class__ = _Calm  # noqa: SLF001 - see ``fits``
            queue._spin_condition.busy_loop_s = 0.0  # noqa: SLF001
