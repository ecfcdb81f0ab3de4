"""The parts that encoder and decoder share: int8 products, feed-forward, embeddings.

Activations are quantised to uint8 around 128 by the multiplier ("alpha") the model brings for each
product, which is what intgemm's int8 arithmetic amounts to: round(x * alpha), an exact integer
product, and a division by (alpha * weight multiplier).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from onnx import TensorProto

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hexkey.engines.marian.architecture import Architecture
    from hexkey.engines.marian.binary import MarianBinary
    from hexkey.engines.onnxgraph import Graph

EPSILON = 1e-6  # of every layer normalisation
SIGNED = 128  # the zero point of activations of either sign
RECTIFIED = 0  # the zero point that turns quantisation into a ReLU: uint8 clamps at zero


class Activation(NamedTuple):
    """A quantised value: the names of its uint8 tensor, its scale and its zero point."""

    values: str
    scale: str
    zero_point: str


class Layers:
    """Adds the layers of one model to one graph."""

    def __init__(self, graph: Graph, binary: MarianBinary, shape: Architecture) -> None:
        self._graph = graph
        self._binary = binary
        self._shape = shape

    def quantise(self, x: str, *products: str, zero_point: int = SIGNED) -> Activation:
        """Quantise `x` for the named products, which all bring the same multiplier."""
        alphas = {self._binary.scalar(f"{name}_QuantMultA") for name in products}
        if len(alphas) > 1:
            raise ValueError(f"{self._binary.path}: {products} disagree on their input: {alphas}")
        scale = self._graph.scalar(1 / alphas.pop())
        zero = self._graph.scalar(zero_point, np.uint8)
        return Activation(self._graph.node("QuantizeLinear", x, scale, zero), scale, zero)

    def stack(self, *names: str) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """Return (dim, dim) matrices side by side, and the scale of every column."""
        dim = self._shape.dim
        matrices = [self._binary.weights(name, (dim, dim)) for name in names]
        scales = [np.full(dim, 1 / matrix.multiplier, np.float32) for matrix in matrices]
        return np.concatenate([matrix.values for matrix in matrices], 1), np.concatenate(scales)

    def biases(self, *names: str) -> NDArray[np.float32]:
        """Return bias vectors of `dim` end to end."""
        return np.concatenate([self._binary.vector(name, self._shape.dim) for name in names])

    def product(
        self,
        x: Activation,
        weights: NDArray[np.int8],
        scales: NDArray[np.float32],
        bias: NDArray[np.float32],
    ) -> str:
        """Multiply exactly in integers and return float32: x * weights * scales + bias."""
        graph = self._graph
        return graph.node(
            "MatMulIntegerToFloat",
            x.values,
            graph.constant(weights),
            x.scale,
            graph.constant(scales),
            x.zero_point,
            graph.constant(np.zeros(len(scales), np.int8)),
            graph.constant(bias),
        )

    def linear(
        self, x: str, weights: Sequence[str], biases: Sequence[str], *, factor: float = 1
    ) -> str:
        """Apply several matrices to one input in one product: (..., in) to (..., sum of outs).

        The result is multiplied by `factor`, at no cost.
        """
        matrix, scales = self.stack(*weights)
        bias = self.biases(*biases)
        return self.product(
            self.quantise(x, *weights),
            matrix,
            scales * np.float32(factor),
            bias * np.float32(factor),
        )

    def feed_forward(self, x: str, prefix: str) -> str:
        """Return relu(x * W1 + b1) * W2 + b2; the ReLU lies in the second quantisation."""
        dim, dim_ffn = self._shape.dim, self._shape.dim_ffn
        for part, shape, zero_point in (
            ("1", (dim, dim_ffn), SIGNED),
            ("2", (dim_ffn, dim), RECTIFIED),
        ):
            name = f"{prefix}_W{part}"
            weights, multiplier = self._binary.weights(name, shape)
            x = self.product(
                self.quantise(x, name, zero_point=zero_point),
                weights,
                np.full(shape[1], 1 / multiplier, np.float32),
                self._binary.vector(f"{prefix}_b{part}", shape[1]),
            )
        return x

    def norm_parameters(self, prefix: str) -> tuple[str, str]:
        """Return the scale and bias of a layer normalisation."""
        scale, bias = (
            self._graph.constant(self.biases(f"{prefix}_{part}")) for part in ("scale", "bias")
        )
        return scale, bias

    def embeddings(self, rows: str, multiplier: float, *, output: str = "") -> str:
        """Turn int8 embedding rows into float32 ones, scaled by sqrt(dim) as Marian's are."""
        values = self._graph.node("Cast", rows, to=TensorProto.FLOAT)
        scale = self._graph.scalar(math.sqrt(self._shape.dim) / multiplier)
        return self._graph.node("Mul", values, scale, output=output)
