"""Every engine fails and every client tries again: the server does not make a storm of it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.e2e.conftest import serve
from tests.waiting import until

CLIENTS, TRIES = 200, 3
CONFIG = """
models:
  - {name: a, engine: fake, tasks: [chat]}
  - {name: b, engine: fake, tasks: [chat]}
  - {name: c, engine: fake, tasks: [chat]}
"""


def test_attempts_stay_below_a_fifth_more_than_requests_and_none_is_given_up(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG)
    with (
        serve(path) as served,
        httpx.Client(base_url=served.http, timeout=60) as client,
        ThreadPoolExecutor(16) as pool,
    ):

        def ask(text: str) -> int:
            said = {"messages": [{"role": "user", "content": text}], "model": "auto"}
            return client.post("/v1/chat/completions", json=said | {"max_tokens": 2}).status_code

        def insist(_number: int) -> list[int]:
            """What a client is answered that tries again at once, whatever it is told."""
            return [ask("[[bug]]") for _ in range(TRIES)]

        answers = [status for all_of_it in pool.map(insist, range(CLIENTS)) for status in all_of_it]
        assert set(answers) == {500}
        assert ask("well") == 200
        requests = len(answers) + 1
        until(lambda: told(served.log, "request") == requests)
        attempts = told(served.log, "engine fails a request") + 1
        assert requests < attempts <= 1.2 * requests
        for model in "abc":
            assert served.metric(f'requests_in_flight{{model="{model}"}}') == 0


def told(log: list[str], event: str) -> int:
    """How many lines of the log tell of it."""
    return sum(json.loads(line)["event"] == event for line in log)
