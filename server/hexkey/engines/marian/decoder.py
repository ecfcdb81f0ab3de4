"""The decoder graph: as many greedy steps as it takes for enough rows to finish, in one run.

The steps are the iterations of an ONNX `Loop`: no Python between them, which saves a third of a
step's time at batch 1. A run ends early so that the caller can drop finished rows and come back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from hexkey.engines.marian.layers import EPSILON, Layers
from hexkey.engines.marian.vocabulary import EOS
from hexkey.engines.onnxgraph import Graph, tensor

if TYPE_CHECKING:
    from onnx import GraphProto, ValueInfoProto

    from hexkey.engines.marian.architecture import Architecture
    from hexkey.engines.marian.binary import MarianBinary


def build_decoder(binary: MarianBinary, shape: Architecture) -> GraphProto:
    """Build the graph.

    Carried from run to run, as input NAME and output next_NAME: previous (rows, 1, dim), the
    embedding of the token before; finished (rows, 1); state_L (rows, 1, dim) for each layer L from
    1. All are zeros at first.
    Other inputs: steps (), the most to take; floor (), stop once no more rows than this are
    unfinished; positions (at least steps, dim), from the first step of this run on; mask (rows, 1,
    1, length), -inf at padding; and the encoder's outputs.
    Other output: columns (steps taken, rows, 1), the candidates chosen. They go on past the EOS of
    a finished row and mean nothing there.
    """
    row = ("rows", 1, shape.dim)
    depths = range(1, shape.decoder_depth + 1)
    carried = {"previous": row, "finished": ("rows", 1)} | {
        f"state_{depth}": row for depth in depths
    }

    def declare(prefix: str) -> list[ValueInfoProto]:
        return [
            tensor(f"{prefix}{name}", np.bool_ if name == "finished" else np.float32, *axes)
            for name, axes in carried.items()
        ]

    step = _build_step(binary, shape, declare("step/"), declare("step/next_"))
    run = Graph("decoder")
    outputs = [*(f"next_{name}" for name in carried), "columns"]
    run.nodes("Loop", "steps", "", *carried, outputs=outputs, body=step)
    keys_and_values = [
        tensor(name, np.float32, "rows", shape.heads, *axes)
        for depth in depths
        for name, axes in (
            (f"keys_{depth}", (shape.head_dim, "length")),
            (f"values_{depth}", ("length", shape.head_dim)),
        )
    ]
    return run.build(
        [
            *declare(""),
            tensor("steps", np.int64),
            tensor("floor", np.int64),
            tensor("positions", np.float32, "positions", shape.dim),
            tensor("mask", np.float32, "rows", 1, 1, "length"),
            *keys_and_values,
            tensor("output_weights", np.int8, shape.dim, "columns"),
            tensor("output_bias", np.float32, "rows", 1, "columns"),
            tensor("embeddings", np.float32, "columns", shape.dim),
        ],
        [*declare("next_"), tensor("columns", np.int64, "taken", "rows", 1)],
    )


def _build_step(
    binary: MarianBinary,
    shape: Architecture,
    carried: list[ValueInfoProto],
    carried_on: list[ValueInfoProto],
) -> GraphProto:
    """Build one step, the loop's body; it sees the run's inputs by their names."""
    graph = Graph("step")
    layers = Layers(graph, binary, shape)
    x = graph.node("Add", "step/previous", graph.node("Gather", "positions", "step/index"))
    for depth in range(1, shape.decoder_depth + 1):
        prefix = f"decoder_l{depth}"
        cell = _ssru(graph, layers, x, prefix, depth)
        x = _norm(graph, layers, x, graph.node("Relu", cell), f"{prefix}_rnn_ffn_ln")
        context = _cross_attention(graph, layers, x, depth, shape)
        x = _norm(graph, layers, x, context, f"{prefix}_context_Wo_ln")
        x = _norm(graph, layers, x, layers.feed_forward(x, f"{prefix}_ffn"), f"{prefix}_ffn_ffn_ln")

    output = binary.matrix(shape.target_embedding, (shape.target_words, shape.dim))
    hidden = layers.quantise(x, "none")
    logits = graph.node(
        "MatMulIntegerToFloat",
        hidden.values,
        "output_weights",
        hidden.scale,
        graph.scalar(1 / output.multiplier),
        hidden.zero_point,
        graph.scalar(0, np.int8),
    )
    logits = graph.node("Add", logits, "output_bias")
    column = graph.node("ArgMax", logits, axis=2, keepdims=0)
    graph.node("Gather", "embeddings", column, output="step/next_previous")

    # The candidates ascend from token 0, so that the column of EOS is EOS.
    ended = graph.node("Equal", column, graph.scalar(EOS, np.int64))
    finished = graph.node("Or", "step/finished", ended, output="step/next_finished")
    unfinished = graph.node("Cast", graph.node("Not", finished), to=TensorProto.INT64)
    count = graph.node("ReduceSum", unfinished, keepdims=0)
    again = graph.node("Greater", count, "floor")
    return graph.build(
        [tensor("step/index", np.int64), tensor("step/again", np.bool_), *carried],
        [tensor(again, np.bool_), *carried_on, tensor(column, np.int64, "rows", 1)],
    )


def _norm(graph: Graph, layers: Layers, x: str, y: str, prefix: str) -> str:
    """Return LN(x + y) in one node: a step has too few rows for the encoder's way to pay."""
    parameters = layers.norm_parameters(prefix)
    return graph.node("SkipLayerNormalization", x, y, *parameters, epsilon=EPSILON)


def _ssru(graph: Graph, layers: Layers, x: str, prefix: str, depth: int) -> str:
    """Return the new cell state: f * old + (1 - f) * x W, with the gate f = sigmoid(x Wf + bf).

    The simpler simple recurrent unit of Kim et al., 2019 (arXiv:1911.03362).
    """
    names = f"{prefix}_rnn_Wf", f"{prefix}_rnn_W"
    weights, scales = layers.stack(*names)
    gate_bias = layers.biases(f"{prefix}_rnn_bf")
    bias = np.concatenate([gate_bias, np.zeros_like(gate_bias)])
    product = layers.product(layers.quantise(x, *names), weights, scales, bias)
    gate, fresh = graph.split(product, 2, axis=2)
    difference = graph.node("Sub", f"step/state_{depth}", fresh)
    kept = graph.node("Mul", graph.node("Sigmoid", gate), difference)
    return graph.node("Add", fresh, kept, output=f"step/next_state_{depth}")


def _cross_attention(graph: Graph, layers: Layers, x: str, depth: int, shape: Architecture) -> str:
    prefix = f"decoder_l{depth}_context"
    query = layers.linear(x, [f"{prefix}_Wq"], [f"{prefix}_bq"], factor=shape.head_dim**-0.5)
    query = graph.node("Reshape", query, graph.constant([0, shape.heads, 1, shape.head_dim]))
    scores = graph.node("Add", graph.node("MatMul", query, f"keys_{depth}"), "mask")
    weights = graph.node("Softmax", scores, axis=-1)
    heads = graph.node("MatMul", weights, f"values_{depth}")
    joined = graph.node("Reshape", heads, graph.constant([0, 1, shape.dim]))
    return layers.linear(joined, [f"{prefix}_Wo"], [f"{prefix}_bo"])
