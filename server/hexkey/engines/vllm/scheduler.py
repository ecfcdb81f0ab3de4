"""vLLM's scheduler with an account of each step; runs in vLLM's EngineCore process.

The account leaves as one more output of its own step, so it can be neither lost nor late, and a
step that ends no token is heard of as well. The interface is not public: ``PINNED`` is the vLLM it
was written for, and ``fits`` says whether the installed one still has it.
"""

from __future__ import annotations

import inspect
import time
from typing import TYPE_CHECKING, Any

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs
from vllm.v1.request import RequestStatus

from hexkey.engines.vllm.jobs import STEP

if TYPE_CHECKING:
    from vllm.v1.core.sched.output import SchedulerOutput
    from vllm.v1.outputs import ModelRunnerOutput
    from vllm.v1.request import Request

PINNED = "0.32"

_SIGNATURES = {
    "schedule": ("self", "throttle_prefills"),
    "update_from_output": ("self", "scheduler_output", "model_runner_output"),
}
_FIELDS = {"request_id", "new_token_ids", "finish_reason", "kv_transfer_params", "prefill_stats"}


def fits(version: str) -> bool:
    """Tell whether the installed vLLM has the interface that this file overrides."""
    signatures = all(
        tuple(inspect.signature(getattr(kind, name)).parameters) == parameters
        for kind in (Scheduler, AsyncScheduler)
        for name, parameters in _SIGNATURES.items()
    )
    return (
        version.startswith(f"{PINNED}.")
        and signatures
        and set(EngineCoreOutput.__struct_fields__) >= _FIELDS
        and hasattr(RequestStatus, "FINISHED_ABORTED")
    )


class _Accounting:
    """Goes before a scheduler class.

    A step begins when it is scheduled, or when the one before it is done if that is later (steps
    overlap where scheduling is asynchronous), and is done when its output is in. ``computed`` has
    ``(request, tokens, context)``; tokens found in the prefix cache are not computed. A step that
    ran ahead of a request's end is not counted for it, so that its tokens add up to ``prompt -
    cached + generated - 1``; work on a cancelled request is.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._open: dict[int, tuple[int, list[tuple[Request, int, int]]]] = {}
        self._done_ns = 0

    def schedule(self, throttle_prefills: bool = False) -> SchedulerOutput:  # noqa: FBT001, FBT002 - vLLM's signature
        begin_ns = time.monotonic_ns()
        scheduled: SchedulerOutput = super().schedule(throttle_prefills)  # type: ignore[misc]
        requests: dict[str, Request] = self.requests  # type: ignore[attr-defined]
        self._open[id(scheduled)] = (
            begin_ns,
            [
                (requests[name], tokens, requests[name].num_computed_tokens)
                for name, tokens in scheduled.num_scheduled_tokens.items()
            ],
        )
        return scheduled

    def update_from_output(
        self, scheduler_output: SchedulerOutput, model_runner_output: ModelRunnerOutput
    ) -> dict[int, EngineCoreOutputs]:
        done_ns = time.monotonic_ns()
        begin_ns, batch = self._open.pop(id(scheduler_output), (done_ns, []))
        computed = [
            (request.request_id, tokens, context)
            for request, tokens, context in batch
            if not request.is_finished() or request.status == RequestStatus.FINISHED_ABORTED
        ]
        outputs: dict[int, EngineCoreOutputs] = super().update_from_output(  # type: ignore[misc]
            scheduler_output, model_runner_output
        )
        if batch:
            account = {
                "begin_ns": max(begin_ns, self._done_ns),
                "done_ns": done_ns,
                "computed": computed,
            }
            self._done_ns = done_ns
            told = outputs.setdefault(0, EngineCoreOutputs())
            told.outputs.insert(
                0, EngineCoreOutput(request_id=STEP, new_token_ids=[], kv_transfer_params=account)
            )
        return outputs


class AccountingScheduler(_Accounting, Scheduler):  # type: ignore[misc]
    """For steps that follow one another, as on the CPU."""


class AccountingAsyncScheduler(_Accounting, AsyncScheduler):  # type: ignore[misc]
    """For steps that are scheduled before the one before is done, as on a GPU."""
