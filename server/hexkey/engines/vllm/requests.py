"""Makes what EngineCore takes of what a caller asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vllm.exceptions import VLLMClientError
from vllm.lora.request import LoRARequest
from vllm.pooling_params import PoolingParams
from vllm.sampling_params import SamplingParams, StructuredOutputsParams

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
        params = self._params(sampling, len(prompt), index)
        return self._checked(name, prompt, params, "generate", terms)

    def _checked(
        self,
        name: str,
        ids: list[int],
        params: SamplingParams | PoolingParams,
        task: str,
        terms: Terms,
    ) -> EngineCoreRequest:
        inputs: dict[str, Any] = {"type": "token", "prompt_token_ids": ids}
        if terms.salt:
            inputs["cache_salt"] = terms.salt
        try:
            return self._processor.process_inputs(
                name,
                inputs,
                params,
                supported_tasks=(task,),
                lora_request=self.adapters[terms.adapter] if terms.adapter else None,
                priority=terms.priority,
            )
        except (ValueError, VLLMClientError) as error:
            if isinstance(params, SamplingParams) and params.structured_outputs is not None:
                what = "vLLM cannot hold an answer to this JSON Schema; use fewer of its features"
                raise invalid(what, "json_schema") from error
            raise invalid("vLLM does not take this prompt with these parameters") from error

    def pooled(
        self, name: str, ids: list[int], task: str, second: int, terms: Terms
    ) -> EngineCoreRequest:
        """One text to read, or two of which the second begins at ``second`` (0: one)."""
        more = {"compressed_token_type_ids": second} if second else None
        return self._checked(name, ids, PoolingParams(task=task, extra_kwargs=more), task, terms)

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
        room = self._window - prompt_tokens
        return SamplingParams(
            max_tokens=min(sampling.max_tokens, room),
            min_tokens=min(sampling.min_tokens, room),
            stop_token_ids=self._stops,
            presence_penalty=sampling.presence_penalty,
            frequency_penalty=sampling.frequency_penalty,
            logprobs=0 if sampling.logprobs else None,
            structured_outputs=_structure(sampling.json_schema),
            detokenize=False,
            **chosen,
        )


def _structure(schema: str) -> StructuredOutputsParams | None:
    return StructuredOutputsParams(json=schema) if schema else None
