"""How often, and how fast, the language of a short text is found.

The texts are Django's own interface messages in 26 languages (BSD-3-Clause), written by people and
mostly a few words long. They come from Django's wheel, of which no code is run; messages that two
languages share are left out. The languages it has to choose among are what a configuration's
pairs would allow: two, eleven in Latin script, all 26.

    python benchmarks/detection.py [django.whl]
"""

from __future__ import annotations

import ast
import asyncio
import random
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hexkey.detection import Detector

DJANGO = "django==5.2.19"
LATIN = ("en", "pt", "es", "fr", "de", "it", "nl", "pl", "cs", "sv", "ro")
OTHERS = ("da", "fi", "hu", "tr", "ru", "uk", "bg", "el", "ar", "fa", "he", "ja", "ko", "zh", "ca")
SETS = {"en, pt": ["en", "pt"], "11 Latin": [*LATIN], "26": [*LATIN, *OTHERS]}
FOLDERS = {"zh": "zh_Hans"}
PER_LANGUAGE = 400
SHORTEST = 6
_NOT_WORDS = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}|<[^>]+>|\s+")


def messages(po: str) -> Iterator[tuple[str, str]]:
    """Yield (English, translation) of a catalog's plain messages."""
    for entry in po.split("\n\n"):
        found = re.search(r'^msgid ((?:".*"\n)+)msgstr ((?:".*"\n?)+)$', entry, re.MULTILINE)
        if found:
            english, other = (
                "".join(ast.literal_eval(line) for line in part.strip().split("\n"))
                for part in found.groups()
            )
            if english and other and english != other:
                yield english, other


def corpus(wheel: Path) -> dict[str, list[str]]:
    texts: dict[str, set[str]] = {code: set() for code in SETS["26"]}
    with zipfile.ZipFile(wheel) as archive:
        names = [one for one in archive.namelist() if one.endswith("LC_MESSAGES/django.po")]
        for code in SETS["26"]:
            for name in names:
                if f"/locale/{FOLDERS.get(code, code)}/" in name:
                    for english, other in messages(archive.read(name).decode()):
                        texts["en"].add(_NOT_WORDS.sub(" ", english).strip())
                        texts[code].add(_NOT_WORDS.sub(" ", other).strip())
    shared = Counter(text for some in texts.values() for text in some)
    rng = random.Random(1)
    kept = {}
    for code, some in texts.items():
        mine = sorted(one for one in some if shared[one] == 1 and len(one) >= SHORTEST)
        rng.shuffle(mine)
        kept[code] = mine[:PER_LANGUAGE]
    return kept


async def measure(detector: Detector, texts: dict[str, list[str]], among: list[str]) -> str:
    right: dict[str, list[bool]] = {}
    times = []
    for code in among:
        for text in texts[code]:
            begun = time.perf_counter()
            found = await detector.detect(text, among)
            times.append(time.perf_counter() - begun)
            size = "< 20" if len(text) < 20 else "20-49" if len(text) < 50 else "50 +"
            right.setdefault(size, []).append(found.language == code)
    times.sort()
    shares = ", ".join(
        f"{size} characters {100 * sum(right[size]) / len(right[size]):.1f} % of {len(right[size])}"
        for size in ("< 20", "20-49", "50 +")
    )
    p50, p99 = (times[int(len(times) * p)] * 1e6 for p in (0.5, 0.99))
    return f"{shares}; p50 {p50:.0f} µs, p99 {p99:.0f} µs"


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


async def run(wheel: Path) -> None:
    texts = corpus(wheel)
    detector, before, begun = Detector(), resident_mb(), time.perf_counter()
    await detector.detect("warm", ["en", "pt"])
    print(f"load: {time.perf_counter() - begun:.2f} s, {resident_mb() - before:.0f} MB")
    for name, among in SETS.items():
        print(f"{name:>9}: {await measure(detector, texts, among)}")
    long = " ".join(texts["pt"])
    begun = time.perf_counter()
    await detector.detect(long, SETS["26"])
    print(f"a text of {len(long)} characters: {(time.perf_counter() - begun) * 1e6:.0f} µs")


def main() -> None:
    if len(sys.argv) > 1:
        asyncio.run(run(Path(sys.argv[1])))
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", folder, DJANGO]
        subprocess.run(command, check=True)
        asyncio.run(run(next(Path(folder).glob("*.whl"))))


if __name__ == "__main__":
    main()
