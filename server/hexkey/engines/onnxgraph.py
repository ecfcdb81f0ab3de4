"""A small vocabulary for building ONNX graphs, and the sessions that run them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

OPSET = 17
IR_VERSION = 9
CONTRIB = "com.microsoft"
CONTRIB_OPS = {"MatMulIntegerToFloat", "QAttention", "SkipLayerNormalization"}


def tensor(name: str, dtype: type[np.generic], *shape: int | str) -> ValueInfoProto:
    """Declare an input or output; a dimension given as a word may differ from run to run."""
    return helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape
    )


class Graph:
    """An ONNX graph under construction: its methods add to it and return value names."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def constant(self, value: NDArray[Any] | Sequence[int]) -> str:
        """Add a constant; a plain sequence becomes int64, as ONNX wants axes and shapes."""
        name = f"{self._name}/constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def scalar(self, value: float, dtype: type[np.generic] = np.float32) -> str:
        """Add a constant without axes."""
        name = f"{self._name}/constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def node(self, op: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node with one output, named `output` when something outside looks for it."""
        (name,) = self.nodes(op, *inputs, outputs=[output or self._fresh(op)], **attributes)
        return name

    def nodes(self, op: str, *inputs: str, outputs: Sequence[str], **attributes: Any) -> list[str]:
        """Add a node with the given outputs."""
        domain = CONTRIB if op in CONTRIB_OPS else ""
        self._nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **attributes))
        return list(outputs)

    def split(self, value: str, parts: int, *, axis: int) -> list[str]:
        """Cut `value` into equal parts along `axis`."""
        prefix = self._fresh("Split")
        outputs = [f"{prefix}_{part}" for part in range(parts)]
        return self.nodes("Split", value, outputs=outputs, axis=axis)

    def build(
        self, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]
    ) -> GraphProto:
        """Close the graph over its inputs and outputs."""
        return helper.make_graph(self._nodes, self._name, inputs, outputs, self._constants)

    def _fresh(self, op: str) -> str:
        return f"{self._name}/{op}_{len(self._nodes)}"


class Session:
    """A graph made ready to run on the CPU; `run` may be called from several threads."""

    def __init__(self, graph: GraphProto, *, threads: int) -> None:
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_mem_pattern = False  # shapes change with every batch
        # Spinning threads take the core from the batch-mate session and from the front end.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if _products_saturate():
            options.add_session_config_entry("session.x64quantprecision", "1")
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._outputs = [output.name for output in graph.output]

    def run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Compute every output of the graph."""
        return dict(zip(self._outputs, self._session.run(None, inputs), strict=True))


def _products_saturate() -> bool:
    """Tell an x86 without VNNI, whose fast uint8 x int8 products overflow 16 bits.

    onnxruntime computes them exactly when asked to, at two thirds of the speed; with VNNI they are
    exact anyway, and asking costs the same, so the question is worth its answer.
    """
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "sse4" in flags and "vnni" not in flags
