"""vLLM's own metrics, kept as its AsyncLLM would keep them had it seen the outputs.

They are passed through raw, under vLLM's names, for the dashboards that people have for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from vllm.v1.metrics.stats import IterationStats, LoRARequestStates, RequestStateStats

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.core import Metric
    from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs, EngineCoreRequest, FinishReason
    from vllm.v1.metrics.loggers import StatLoggerManager


@dataclass(slots=True)
class _State:
    """What vLLM counts of one sequence."""

    request: EngineCoreRequest
    adapter: str | None
    stats: RequestStateStats
    prefilling: bool = True
    cached: int = 0


@dataclass(slots=True)
class Statistics:
    """Counts requests in and outputs out; ``record`` hands each step's to vLLM's loggers."""

    loggers: StatLoggerManager
    _states: dict[str, _State] = field(default_factory=dict)
    _adapters: LoRARequestStates = field(default_factory=lambda: LoRARequestStates(log_stats=True))

    def add(self, request: EngineCoreRequest) -> None:
        """A sequence was sent to EngineCore."""
        adapter = request.lora_request.name if request.lora_request else None
        stats = RequestStateStats(arrival_time=request.arrival_time)
        self._states[request.request_id] = _State(request, adapter, stats)

    def drop(self, names: Iterable[str]) -> None:
        """Sequences were cancelled."""
        for name in names:
            state = self._states.pop(name, None)
            if state is not None:
                self._adapters.request_finished(name, state.adapter)

    def record(self, outputs: EngineCoreOutputs, ended: dict[str, FinishReason]) -> None:
        """Count a step; ``ended`` are those of its sequences that are over, and why."""
        step = IterationStats()
        known = [one for one in outputs.outputs if one.request_id in self._states]
        for output in known:
            self._count(step, self._states[output.request_id], output, outputs.timestamp)
        for name, reason in ended.items():
            self._end(step, name, reason)
        self._adapters.update_scheduler_stats(outputs.scheduler_stats)
        self.loggers.record(outputs.scheduler_stats, step if known else None)

    def _count(
        self, step: IterationStats, state: _State, output: EngineCoreOutput, timestamp: float
    ) -> None:
        step.update_from_output(
            output, timestamp, state.prefilling, state.stats, self._adapters, state.adapter
        )
        if state.prefilling and output.prefill_stats is not None:
            state.cached = output.prefill_stats.num_cached_tokens
        state.prefilling = False

    def _end(self, step: IterationStats, name: str, reason: FinishReason) -> None:
        state = self._states.pop(name, None)
        if state is None:
            return
        sampling = state.request.sampling_params
        step.update_from_finished_request(
            reason,
            name,
            len(state.request.prompt_token_ids or ()),
            sampling.max_tokens if sampling is not None else None,
            state.stats,
            state.cached,
        )
        self._adapters.request_finished(name, state.adapter)


def exposition() -> bytes:
    """VLLM's metrics in Prometheus text format, those of the Python process left out."""
    own = CollectorRegistry()
    own.register(_Own())
    return generate_latest(own)


class _Own:
    def collect(self) -> Iterable[Metric]:
        return (one for one in REGISTRY.collect() if one.name.startswith("vllm:"))
