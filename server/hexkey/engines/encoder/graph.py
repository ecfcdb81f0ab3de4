"""The encoder as one ONNX graph: token ids in, vectors of unit length out.

After Devlin et al., "BERT", 2018, and Reimers and Gurevych, "Sentence-BERT", 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hexkey.engines.encoder.architecture import Pooling
from hexkey.engines.onnxgraph import Graph, tensor
from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from onnx import GraphProto

    from hexkey.engines.encoder.architecture import Architecture

FAR = 1e9
"""Taken from the scores of padding, which leaves it no attention in float32."""


def build(
    weights: Mapping[str, NDArray[np.float32]], shape: Architecture, pooling: Pooling
) -> GraphProto:
    """Build the graph; ``ModelError`` where a weight is missing or of another shape.

    Inputs: ids (rows, length) int64, mask (rows, length) float32, 1 for a token and 0 for padding.
    Output: vectors (rows, hidden_size).
    """
    return _Builder(weights, shape).build(pooling)


class _Builder:
    def __init__(self, weights: Mapping[str, NDArray[np.float32]], shape: Architecture) -> None:
        self._graph = Graph("encoder")
        self._weights = weights
        self._shape = shape
        # Some files name the encoder's weights as a part of a larger model.
        self._prefix = "" if "embeddings.LayerNorm.weight" in weights else "bert."

    def build(self, pooling: Pooling) -> GraphProto:
        graph = self._graph
        hidden = self._embeddings()
        distance = graph.node("Sub", self._unsqueezed("mask", 1, 2), graph.scalar(1))
        bias = graph.node("Mul", distance, graph.scalar(FAR))
        for layer in range(self._shape.num_hidden_layers):
            hidden = self._layer(hidden, bias, f"encoder.layer.{layer}")
        pooled = self._mean(hidden) if pooling is Pooling.MEAN else self._first(hidden)
        length = graph.node("ReduceL2", pooled, axes=[1], keepdims=1)
        graph.node("Div", pooled, length, output="vectors")
        return graph.build(
            [
                tensor("ids", np.int64, "rows", "length"),
                tensor("mask", np.float32, "rows", "length"),
            ],
            [tensor("vectors", np.float32, "rows", self._shape.hidden_size)],
        )

    def _embeddings(self) -> str:
        graph, shape, name = self._graph, self._shape, "embeddings"
        words = self._weight(f"{name}.word_embeddings.weight", shape.vocab_size, shape.hidden_size)
        # All tokens of a text are of its first and only segment.
        places = (
            self._weight(
                f"{name}.position_embeddings.weight",
                shape.max_position_embeddings,
                shape.hidden_size,
            )
            + self._weight(f"{name}.token_type_embeddings.weight", None, shape.hidden_size)[:1]
        )
        length = graph.node("Shape", "ids", start=1, end=2)
        first = graph.constant([0])
        used = graph.node("Slice", graph.constant(places), first, length, first)
        total = graph.node("Add", graph.node("Gather", graph.constant(words), "ids"), used)
        return self._norm(total, f"{name}.LayerNorm")

    def _layer(self, hidden: str, bias: str, name: str) -> str:
        graph, shape = self._graph, self._shape
        attended = self._attention(hidden, bias, f"{name}.attention.self")
        attended = self._linear(attended, [f"{name}.attention.output.dense"], shape.hidden_size)
        hidden = self._norm(
            graph.node("Add", attended, hidden), f"{name}.attention.output.LayerNorm"
        )
        inner = self._linear(hidden, [f"{name}.intermediate.dense"], shape.hidden_size)
        outer = self._linear(self._gelu(inner), [f"{name}.output.dense"], shape.intermediate_size)
        return self._norm(graph.node("Add", outer, hidden), f"{name}.output.LayerNorm")

    def _attention(self, hidden: str, bias: str, name: str) -> str:
        graph, shape = self._graph, self._shape
        parts = [f"{name}.{part}" for part in ("query", "key", "value")]
        heads = graph.constant([0, 0, shape.num_attention_heads, shape.head_dim])
        query, key, value = (
            graph.node("Transpose", graph.node("Reshape", part, heads), perm=order)
            for part, order in zip(
                graph.split(self._linear(hidden, parts, shape.hidden_size), 3, axis=2),
                ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]),
                strict=True,
            )
        )
        scores = graph.node(
            "Mul", graph.node("MatMul", query, key), graph.scalar(shape.head_dim**-0.5)
        )
        shares = graph.node("Softmax", graph.node("Add", scores, bias), axis=-1)
        mixed = graph.node("Transpose", graph.node("MatMul", shares, value), perm=[0, 2, 1, 3])
        return graph.node("Reshape", mixed, graph.constant([0, 0, shape.hidden_size]))

    def _gelu(self, value: str) -> str:
        graph = self._graph
        half = graph.node("Mul", value, graph.scalar(0.5))
        erf = graph.node("Erf", graph.node("Mul", value, graph.scalar(2**-0.5)))
        return graph.node("Mul", half, graph.node("Add", erf, graph.scalar(1)))

    def _mean(self, hidden: str) -> str:
        graph, over_tokens = self._graph, self._graph.constant([1])
        known = graph.node("Mul", hidden, self._unsqueezed("mask", 2))
        total = graph.node("ReduceSum", known, over_tokens, keepdims=0)
        return graph.node("Div", total, graph.node("ReduceSum", "mask", over_tokens, keepdims=1))

    def _first(self, hidden: str) -> str:
        return self._graph.node("Gather", hidden, self._graph.scalar(0, np.int64), axis=1)

    def _linear(self, value: str, names: list[str], width: int) -> str:
        """Multiply by the weights of several layers at once."""
        graph = self._graph
        weights = [self._weight(f"{name}.weight", None, width).T for name in names]
        biases = [self._weight(f"{name}.bias", None) for name in names]
        product = graph.node("MatMul", value, graph.constant(np.concatenate(weights, axis=1)))
        return graph.node("Add", product, graph.constant(np.concatenate(biases)))

    def _norm(self, value: str, name: str) -> str:
        scale, bias = (
            self._graph.constant(self._weight(f"{name}.{part}", self._shape.hidden_size))
            for part in ("weight", "bias")
        )
        return self._graph.node(
            "LayerNormalization", value, scale, bias, axis=-1, epsilon=self._shape.layer_norm_eps
        )

    def _unsqueezed(self, value: str, *axes: int) -> str:
        return self._graph.node("Unsqueeze", value, self._graph.constant(axes))

    def _weight(self, name: str, *dimensions: int | None) -> NDArray[np.float32]:
        found = self._weights.get(self._prefix + name)
        if found is None:
            raise ModelError(f"the model has no weight {name!r}; it is no BERT encoder")
        fits = len(found.shape) == len(dimensions) and all(
            wanted in {None, size} for size, wanted in zip(found.shape, dimensions, strict=True)
        )
        if not fits:
            raise ModelError(f"the weight {name!r} has the shape {found.shape}, not as configured")
        return found.astype(np.float32)
