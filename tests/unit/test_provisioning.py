"""Models are fetched beside everything else, and a signal meanwhile does no harm."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from hexkey import provisioning
from hexkey.config import Config, parse_config

MODELS = ", ".join(
    f"{{name: m{number}, engine: fake, tasks: [chat], source: 'path:/m{number}'}}"
    for number in range(40)
)


def config() -> Config:
    return parse_config(f"models: [{MODELS}]".encode())


async def test_what_is_fetched_keeps_no_thread_that_others_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go_on = threading.Event()

    def slow(*_args: object, **_options: object) -> SimpleNamespace:
        go_on.wait()
        return SimpleNamespace(paths=[Path("/model")])

    monkeypatch.setattr(provisioning, "fetch", slow)
    fetching = asyncio.create_task(provisioning.fetch_models(config(), lambda _line: None))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(20):
        assert await asyncio.to_thread(int, "7") == 7
    assert not fetching.done()
    go_on.set()
    assert set((await fetching).values()) == {"/model"}


HANGUP = """
import asyncio, os, signal
from hexkey import app
from hexkey.config import parse_config

async def fetch_models(*_args):
    os.kill(os.getpid(), signal.SIGHUP)
    await asyncio.sleep(0.1)
    print("it got this far")
    os._exit(0)

app.fetch_models = fetch_models
config = parse_config(b"models: [{name: m, engine: fake, tasks: [chat]}]")
asyncio.run(app.serve(config, print, print))
"""


def test_a_hangup_while_models_are_fetched_ends_nothing() -> None:
    # In a process of its own: signals belong to all of one.
    command = [sys.executable, "-u", "-c", HANGUP]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, "it got this far\n"), ended.stderr
