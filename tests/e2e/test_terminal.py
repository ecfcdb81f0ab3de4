"""The server as a person runs it, in a window: ^C ends it, and so does closing the window."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.conftest import ROOT
from tests.terminal import Terminal, terminal
from tests.waiting import until

CONFIG = """
models:
  - {name: slow, engine: fake, tasks: [autocomplete], options: {step_ms: 20}}
"""
LISTEN = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
ENDS: dict[str, Callable[[Terminal], None]] = {
    "^C": lambda window: window.type("\x03"),
    "closed": Terminal.close,
}
Window = tuple[Terminal, str]


@pytest.fixture(params=["hexkey", "make", "shell"])
def window(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Window]:
    """A window in which one serves, and where."""
    config = tmp_path / "c.yaml"
    config.write_text(CONFIG)
    program = str(ROOT / ".venv" / "bin" / "hexkey")
    # What is installed is what runs these tests.
    make = ["make", "-o", "setup", "serve", f"CONFIG={config}", f"ARGS={' '.join(LISTEN)}"]
    command = {
        "hexkey": [program, "serve", str(config), *LISTEN],
        "make": make,
        "shell": ["bash", "--norc", "-i"],
    }[request.param]
    with terminal(command, ROOT) as one:
        if request.param == "shell":
            one.type(f"{program} serve {config} {' '.join(LISTEN)}; exit\n")
        until(lambda: "Try:" in one.shown, 60, "the banner")
        found = re.search(r"HTTP\s+(http://[\d.:]+)", one.shown)
        assert found
        yield one, found[1]


@pytest.mark.parametrize("end", ENDS)
def test_it_ends_with_grace_and_leaves_nothing(window: Window, end: str) -> None:
    one, url = window
    leader = psutil.Process(one.process.pid)
    processes = [leader, *leader.children(recursive=True)]
    (host,) = (process for process in processes if process.cmdline()[-1:] == ["slow"])
    body = {"prefix": "hello", "max_tokens": 30}
    with ThreadPoolExecutor(1) as pool:
        host.suspend()  # or the answer may be there before anybody has seen it under way
        try:
            answer = pool.submit(httpx.post, f"{url}/v1/autocomplete", json=body, timeout=30)
            flight = 'hexkey_requests_in_flight{model="slow"} 1.0'
            until(lambda: flight in httpx.get(f"{url}/metrics").text)
            ENDS[end](one)
        finally:
            host.resume()
        assert answer.result().json()["usage"]["output_tokens"] == 30
    until(lambda: one.ended, what="the end")
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert not alive
    if end == "^C":
        assert "Traceback" not in one.shown


@pytest.mark.parametrize("window", ["shell"], indirect=True)
def test_a_hangup_while_the_window_is_open_takes_in_the_configuration(window: Window) -> None:
    one, url = window
    (server,) = psutil.Process(one.process.pid).children()
    server.send_signal(signal.SIGHUP)
    taken = 'hexkey_config_reloads_total{result="ok"} 1.0'
    until(lambda: taken in httpx.get(f"{url}/metrics").text, what="the reload")
    assert httpx.get(f"{url}/ready").status_code == 200
