"""The ``vllm`` engine: language models on GPUs (or a CPU) with vLLM."""

from hexkey.engines.vllm.loading import load

__all__ = ["load"]
