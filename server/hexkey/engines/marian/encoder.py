"""The encoder graph: everything a batch needs computed once.

Besides the sentences it reads the shortlist's candidates, and lays out for the decoder the cross-
attention keys and values of every decoder layer and the candidates' slice of the output layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import numpy_helper

from hexkey.engines.marian.layers import EPSILON, Layers
from hexkey.engines.marian.vocabulary import UNK
from hexkey.engines.onnxgraph import Graph, tensor

if TYPE_CHECKING:
    from onnx import GraphProto

    from hexkey.engines.marian.architecture import Architecture
    from hexkey.engines.marian.binary import MarianBinary


def build_encoder(binary: MarianBinary, shape: Architecture) -> GraphProto:
    """Build the graph.

    Inputs: ids (rows, length), positions (length, dim), lengths (rows,), candidates (columns,),
    allowed (rows, columns).
    Outputs: keys_L (rows, heads, head_dim, length) and values_L (rows, heads, length, head_dim) for
    each decoder layer L from 1; output_weights (dim, columns) int8; output_bias (rows, 1, columns),
    -inf where a row may not produce a column; embeddings (columns, dim).
    """
    graph = Graph("encoder")
    layers = Layers(graph, binary, shape)
    source = binary.matrix(shape.source_embedding, (shape.source_words, shape.dim))
    source_rows = graph.constant(source.values)
    x = layers.embeddings(graph.node("Gather", source_rows, "ids"), source.multiplier)
    x = graph.node("Add", x, "positions")
    norm = _Norm(graph, layers)
    for depth in range(1, shape.encoder_depth + 1):
        prefix = f"encoder_l{depth}"
        x = norm(x, _self_attention(graph, layers, x, prefix, shape), f"{prefix}_self_Wo_ln")
        x = norm(x, layers.feed_forward(x, f"{prefix}_ffn"), f"{prefix}_ffn_ffn_ln")

    context = [f"decoder_l{depth}_context" for depth in range(1, shape.decoder_depth + 1)]
    memory = layers.linear(
        x,
        [f"{prefix}_W{part}" for prefix in context for part in "kv"],
        [f"{prefix}_b{part}" for prefix in context for part in "kv"],
    )
    heads = graph.constant([0, 0, shape.heads, shape.head_dim])
    outputs = []
    for index, part in enumerate(graph.split(memory, 2 * shape.decoder_depth, axis=2)):
        kind, order = ("values", [0, 2, 1, 3]) if index % 2 else ("keys", [0, 2, 3, 1])
        name = f"{kind}_{index // 2 + 1}"
        graph.node("Transpose", graph.node("Reshape", part, heads), output=name, perm=order)
        outputs.append(tensor(name, np.float32, "rows", shape.heads, f"{name}_2", f"{name}_3"))

    _output_layer(graph, layers, binary, shape, source_rows)
    return graph.build(
        [
            tensor("ids", np.int64, "rows", "length"),
            tensor("positions", np.float32, "length", shape.dim),
            tensor("lengths", np.int32, "rows"),
            tensor("candidates", np.int64, "columns"),
            tensor("allowed", np.bool_, "rows", 1, "columns"),
        ],
        [
            *outputs,
            tensor("output_weights", np.int8, shape.dim, "columns"),
            tensor("output_bias", np.float32, "rows", 1, "columns"),
            tensor("embeddings", np.float32, "columns", shape.dim),
        ],
    )


class _Norm:
    """LN(x + y), by way of InstanceNormalization.

    onnxruntime's own LayerNormalization sums in scalar code; this one is vectorised, and five times
    faster for the many rows of an encoder (a decoder step has too few to gain).
    """

    def __init__(self, graph: Graph, layers: Layers) -> None:
        self._graph = graph
        self._layers = layers
        # InstanceNormalization takes the length for its channels and wants a weight for each.
        axes = graph.node("Shape", "ids", start=1, end=2)
        self._ones = self._filled(axes, 1)
        self._zeros = self._filled(axes, 0)

    def __call__(self, x: str, y: str, prefix: str) -> str:
        graph = self._graph
        scale, bias = self._layers.norm_parameters(prefix)
        total = graph.node("Add", x, y)
        unit = graph.node("InstanceNormalization", total, self._ones, self._zeros, epsilon=EPSILON)
        return graph.node("Add", graph.node("Mul", unit, scale), bias)

    def _filled(self, axes: str, value: float) -> str:
        filler = numpy_helper.from_array(np.array([value], np.float32))
        return self._graph.node("ConstantOfShape", axes, value=filler)


def _self_attention(graph: Graph, layers: Layers, x: str, prefix: str, shape: Architecture) -> str:
    projections = [f"{prefix}_self_W{part}" for part in "qkv"]
    weights, scales = layers.stack(*projections)
    quantised = layers.quantise(x, *projections)
    attended = graph.node(
        "QAttention",
        quantised.values,
        graph.constant(weights),
        graph.constant(layers.biases(*(f"{prefix}_self_b{part}" for part in "qkv"))),
        quantised.scale,
        graph.constant(scales),
        "lengths",
        quantised.zero_point,
        graph.constant(np.zeros(len(scales), np.int8)),
        num_heads=shape.heads,
    )
    return layers.linear(attended, [f"{prefix}_self_Wo"], [f"{prefix}_self_bo"])


def _output_layer(
    graph: Graph, layers: Layers, binary: MarianBinary, shape: Architecture, source_rows: str
) -> None:
    """Cut the candidates out of the target embedding, which is the output matrix too."""
    target = binary.matrix(shape.target_embedding, (shape.target_words, shape.dim))
    shared = shape.target_embedding == shape.source_embedding
    target_rows = source_rows if shared else graph.constant(target.values)
    bias = binary.vector("decoder_ff_logit_out_b", shape.target_words).copy()
    bias[UNK] = -np.inf

    rows = graph.node("Gather", target_rows, "candidates")
    graph.node("Transpose", rows, output="output_weights", perm=[1, 0])
    layers.embeddings(rows, target.multiplier, output="embeddings")
    graph.node(
        "Where",
        "allowed",
        graph.node("Gather", graph.constant(bias), "candidates"),
        graph.scalar(-np.inf),
        output="output_bias",
    )
