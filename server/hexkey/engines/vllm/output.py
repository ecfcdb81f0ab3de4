"""What EngineCore generates for one sequence, as events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vllm.v1.engine import FinishReason as Ended

from hexkey.types import FinishReason

if TYPE_CHECKING:
    from collections.abc import Sequence as Items

    from vllm.v1.engine import EngineCoreOutput

    from hexkey.engines.sequence import Sequence
    from hexkey.types import HostEvent


class Output:
    """One output of a request, or several equal ones; see ``hexkey.engines.vllm.jobs.Part``."""

    def __init__(self, sequence: Sequence, pieces: Items[bytes]) -> None:
        self._sequence = sequence
        self._pieces = pieces

    def take(self, output: EngineCoreOutput) -> tuple[list[HostEvent], bool]:
        """Turn new tokens into text; a stop string or rule may end it before EngineCore does."""
        sequence, ended = self._sequence, output.finish_reason
        if output.prefill_stats is not None and sequence.indexes[0] == 0:
            sequence.work.cached_tokens = output.prefill_stats.num_cached_tokens
        told = output.new_logprobs
        scores = [row[0] for row in told.logprobs.tolist()] if told else []
        news = sequence.take(output.new_token_ids, scores, self._pieces)
        if ended is None and not sequence.stream.finished:
            return news, False
        full = ended is Ended.LENGTH and not sequence.stream.finished
        news += sequence.finish(FinishReason.LENGTH if full else FinishReason.STOP)
        return news, True

    def coarse(self, output: EngineCoreOutput) -> tuple[int, int]:
        """A prompt's tokens count with its first token."""
        prompt, before = len(self._sequence.work.prompt), len(self._sequence.generated)
        stats = output.prefill_stats
        cached = stats.num_cached_tokens if stats is not None else 0
        tokens = len(output.new_token_ids) if before else prompt - cached
        return tokens, prompt + max(0, before + len(output.new_token_ids) - 1)
