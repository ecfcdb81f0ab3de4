"""The Open Inference Protocol, version 2, without its wires: from tensors and back to tensors.

https://github.com/kserve/open-inference-protocol, and Triton's extensions for binary tensors and
streams.
"""
