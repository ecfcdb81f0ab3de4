"""The load scripts on the quickstart server: what they count is what the server counts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tokenizers import Tokenizer

from tests.e2e.conftest import ROOT, Served
from tests.load import harnesses
from tests.load.tokenizer import SOURCE, write

LOCUST = ROOT / ".venv" / "tools" / "locust" / "bin" / "locust"
HERE = ROOT / "tests" / "load"


def requests(served: Served, task: str, protocol: str) -> dict[str, float]:
    """How many requests of a task the server has settled, by outcome."""
    found: dict[str, float] = {}
    for line in httpx.get(f"{served.http}/metrics").text.splitlines():
        wanted = ("hexkey_requests_total{", f'task="{task}"', f'protocol="{protocol}"')
        if all(part in line for part in wanted):
            outcome = line.partition('outcome="')[2].partition('"')[0]
            found[outcome] = found.get(outcome, 0) + float(line.rpartition(" ")[2])
    return found


def output(*command: str | Path) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def locust(served: Served, user: str) -> dict[str, float]:
    """What locust tells of three seconds of four users."""
    run = ("-f", HERE / "locustfile.py", "--headless", "-u", "4", "-r", "4", "-t", "3s")
    told = output(LOCUST, *run, "--stop-timeout", "20", "--host", served.http, "--json", user)
    lines = json.loads(told[told.index("[\n") :])
    counts = ("num_requests", "num_failures")
    return {one["name"]: one["num_requests"] for one in lines} | {
        name: sum(one[name] for one in lines) for name in counts
    }


def test_locust_translates_and_both_count_the_same(quickstart: Served) -> None:
    before = requests(quickstart, "translate", "http").get("ok", 0)
    told = locust(quickstart, "Translator")
    assert told["num_failures"] == 0
    assert told["num_requests"] > 10
    assert requests(quickstart, "translate", "http")["ok"] - before == told["num_requests"]


def test_locust_types_and_newer_keys_end_older_ones(quickstart: Served) -> None:
    before = sum(requests(quickstart, "autocomplete", "http").values())
    told = locust(quickstart, "Typist")
    assert told["num_failures"] == 0
    settled = sum(requests(quickstart, "autocomplete", "http").values()) - before
    assert 10 < told["num_requests"] <= settled
    assert told.get("superseded", 0) <= requests(quickstart, "autocomplete", "http").get(
        "superseded", 0
    )


@pytest.mark.parametrize(("task", "rate"), [("translate", "20"), ("autocomplete", "4")])
def test_calls_over_grpc_at_a_rate(quickstart: Served, task: str, rate: str) -> None:
    before = requests(quickstart, task, "grpc").get("ok", 0)
    run = (quickstart.grpc, "--task", task, "--rate", rate, "--seconds", "2")
    told = json.loads(output(sys.executable, HERE / "grpc_load.py", *run))
    assert told["codes"] == {"OK": told["calls"]}
    assert requests(quickstart, task, "grpc")["ok"] - before == told["calls"] > 1
    assert told["tokens_per_second"] > 0
    assert told["latency_ms"]["p99"] >= told["latency_ms"]["p50"] > 0
    assert bool(told["first_token_ms"]) == (task == "autocomplete")


def test_the_tokenizer_for_harnesses_is_the_servers(quickstart: Served, tmp_path: Path) -> None:
    write(SOURCE, tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in (
        "Hello world 12345, it's  fine\n\n\tok",
        "naïve 😀 не 你好",
        "<|im_end|> x",
        "  a",
    ):
        told = httpx.post(f"{quickstart.http}/tokenize", json={"content": text}).json()
        assert tokenizer.encode(text).ids == told["tokens"]


def test_the_page_names_what_can_be_run_and_its_scripts_are_there() -> None:
    found = harnesses.blocks()
    assert set(found) == {"vllm", "guidellm", "aiperf", "locust", "grpc"}
    for _, _, code in found.values():
        for word in code.split():
            if word.startswith("tests/"):
                assert (ROOT / word).is_file()


def test_a_block_of_the_page_runs_as_it_stands(quickstart: Served) -> None:
    env, needs, code = harnesses.blocks()["grpc"]
    programs = harnesses.environment(ROOT / env, needs)
    short = code.replace("--seconds 10", "--seconds 1")
    assert harnesses.run(short, programs, quickstart.http, quickstart.grpc) == 0
