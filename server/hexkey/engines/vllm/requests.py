"""Makes what EngineCore takes of what a caller asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vllm.lora.request import LoRARequest
from vllm.sampling_params import SamplingParams

from hexkey.engines.sequence import greedy
from hexkey.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vllm.v1.engine import EngineCoreRequest
    from vllm.v1.engine.input_processor import InputProcessor

    from hexkey.types import Sampling, Terms

_SEEDS = 1 << 63


class Requests:
    """Builds and checks EngineCore's requests for one model.

    ``stops`` are the ids that end an output, ``window`` is the tokens of prompt and answer.
    """

    def __init__(
        self,
        processor: InputProcessor,
        *,
        adapters: Mapping[str, Path],
        stops: list[int],
        window: int,
    ) -> None:
        self._processor = processor
        self._stops = stops
        self._window = window
        self.adapters = {
            name: LoRARequest(name, number, str(folder))
            for number, (name, folder) in enumerate(adapters.items(), 1)
        }

    def text(
        self, name: str, prompt: list[int], sampling: Sampling, index: int, terms: Terms
    ) -> EngineCoreRequest:
        """Output ``index`` of a completion; ``ServeError`` for what vLLM does not take."""
        inputs: dict[str, Any] = {"type": "token", "prompt_token_ids": prompt}
        if terms.salt:
            inputs["cache_salt"] = terms.salt
        try:
            return self._processor.process_inputs(
                name,
                inputs,
                self._params(sampling, len(prompt), index),
                supported_tasks=("generate",),
                lora_request=self.adapters[terms.adapter] if terms.adapter else None,
                priority=terms.priority,
            )
        except ValueError as error:
            raise invalid("vLLM does not take this prompt with these parameters") from error

    def _params(self, sampling: Sampling, prompt_tokens: int, index: int) -> SamplingParams:
        chosen: dict[str, Any] = {"temperature": 0.0}
        if not greedy(sampling):
            chosen = {
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": sampling.top_k,
            }
            if sampling.seed is not None:
                chosen["seed"] = (sampling.seed + index) % _SEEDS
        return SamplingParams(
            max_tokens=min(sampling.max_tokens, self._window - prompt_tokens),
            stop_token_ids=self._stops,
            presence_penalty=sampling.presence_penalty,
            frequency_penalty=sampling.frequency_penalty,
            logprobs=0 if sampling.logprobs else None,
            detokenize=False,
            **chosen,
        )
