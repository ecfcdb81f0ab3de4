"""The accounts of both schedulers, the model played by the test: also of steps that run ahead.

vLLM's CPU build schedules one step at a time; on a GPU the next is scheduled before the one before
it is done, which is what ``AccountingAsyncScheduler`` is for.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter, deque
from pathlib import Path
from typing import Any

import pytest
import torch
from vllm.sampling_params import SamplingParams
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec
from vllm.v1.outputs import ModelRunnerOutput
from vllm.v1.request import Request, RequestStatus
from vllm.v1.structured_output import StructuredOutputManager

from hexkey.engines.base import LoadContext
from hexkey.engines.vllm import loading
from hexkey.engines.vllm.jobs import STEP
from hexkey.engines.vllm.options import Options, prepare_environment
from hexkey.engines.vllm.scheduler import AccountingAsyncScheduler, AccountingScheduler

BLOCK, BLOCKS, TOKEN, STOP = 16, 64, 7, 9
AT_ONCE = 16
"""Tokens of a step, so that a long prompt takes several."""


class Model:
    """A scheduler and who computes what it says, up to ``ahead`` steps behind it."""

    def __init__(self, folder: Path, *, ahead: int) -> None:
        options = Options(
            max_model_len=512,
            max_num_batched_tokens=AT_ONCE,
            max_num_seqs=8,
            enable_prefix_caching=False,
        )
        context = LoadContext("m", folder, {}, lambda _line: None)
        config: Any = loading._config(context, options)
        config.scheduler_config.async_scheduling = ahead > 1
        config.cache_config.num_gpu_blocks = BLOCKS
        spec = FullAttentionSpec(block_size=BLOCK, num_kv_heads=1, head_size=8, dtype=torch.float32)
        made = AccountingAsyncScheduler if ahead > 1 else AccountingScheduler
        self.scheduler: Any = made(
            config,
            KVCacheConfig(BLOCKS, [], [KVCacheGroupSpec(["layer"], spec)]),
            StructuredOutputManager(config),
            block_size=BLOCK,
        )
        self.accounts: list[dict[str, Any]] = []
        self.generated: Counter[str] = Counter()
        self._ahead = ahead
        self._under_way: deque[SchedulerOutput] = deque()
        self._prompts: dict[str, int] = {}
        self._computed: Counter[str] = Counter()
        self._stops: dict[str, int] = {}

    def add(self, name: str, prompt: int, *, most: int, stop_at: int = 0) -> None:
        """A request; its token number ``stop_at`` is one that ends it."""
        params = SamplingParams(max_tokens=most, stop_token_ids=[STOP], temperature=0.0)
        self.scheduler.add_request(Request(name, [TOKEN] * prompt, params, None))
        self._prompts[name], self._stops[name] = prompt, stop_at

    def work(self, steps: int = 1000) -> None:
        """Schedule and compute, until nothing is left or so many steps are done."""
        for _ in range(steps):
            while len(self._under_way) < self._ahead and self.scheduler.has_requests():
                scheduled = self.scheduler.schedule()
                if not scheduled.total_num_scheduled_tokens:
                    break
                self._under_way.append(scheduled)
            if not self._under_way:
                return
            self._compute(self._under_way.popleft())

    def _compute(self, scheduled: SchedulerOutput) -> None:
        names = list(scheduled.num_scheduled_tokens)
        self._computed.update(scheduled.num_scheduled_tokens)
        sampled = [[self._next(name)] if self._prefilled(name) else [] for name in names]
        told = self.scheduler.update_from_output(
            scheduled, ModelRunnerOutput(names, {name: i for i, name in enumerate(names)}, sampled)
        )
        first, *others = told[0].outputs
        assert first.request_id == STEP, "it goes before what it tells of"
        assert STEP not in {one.request_id for one in others}
        self.accounts.append(first.kv_transfer_params)
        for one in others:
            self.generated[one.request_id] += len(one.new_token_ids)

    def _prefilled(self, name: str) -> bool:
        return self._computed[name] >= self._prompts[name]

    def _next(self, name: str) -> int:
        number = self._computed[name] - self._prompts[name] + 1
        return STOP if number == self._stops[name] else TOKEN

    def told(self) -> Counter[str]:
        """Tokens by request, as the accounts have them."""
        counts: Counter[str] = Counter()
        for account in self.accounts:
            for name, tokens, _context in account["computed"]:
                counts[name] += tokens
        return counts


@pytest.fixture(params=[1, 2], ids=["in turn", "ahead"])
def model(
    request: pytest.FixtureRequest, smollm_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Model:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    prepare_environment(0)
    return Model(smollm_folder, ahead=request.param)


def test_tokens_add_up_to_prompt_and_generated_less_one(model: Model) -> None:
    model.add("long", 70, most=5)
    model.add("short", 3, most=9)
    model.add("stops", 4, most=50, stop_at=6)
    model.work()
    assert model.generated == {"long": 5, "short": 9, "stops": 6}
    assert model.told() == {"long": 70 + 5 - 1, "short": 3 + 9 - 1, "stops": 4 + 6 - 1}


def test_steps_follow_one_another_in_time_also_where_they_were_scheduled_ahead(
    model: Model,
) -> None:
    model.add("one", 40, most=6)
    model.work()
    assert len(model.accounts) > 6
    assert all(one["begin_ns"] <= one["done_ns"] for one in model.accounts)
    pairs = itertools.pairwise(model.accounts)
    assert all(before["done_ns"] <= after["begin_ns"] for before, after in pairs)


def test_what_is_computed_for_the_cancelled_is_told(model: Model) -> None:
    model.add("gone", 4, most=50)
    model.add("stays", 4, most=8)
    model.work(3)
    model.scheduler.finish_requests("gone", RequestStatus.FINISHED_ABORTED)
    model.work()
    assert model.told()["stays"] == 4 + 8 - 1
    # Two steps of decoding were done; one more was under way if the scheduler was ahead.
    assert model.told()["gone"] == 4 + 2 + (model._ahead - 1)
