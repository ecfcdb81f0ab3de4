"""The ``openvino`` engine: language models on the CPU with openvino-genai."""

from hexkey.engines.openvino.loading import load

__all__ = ["load"]
