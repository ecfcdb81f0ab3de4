"""Models are fetched beside everything else, and a signal meanwhile does no harm."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from hexkey import app, provisioning
from hexkey.config import Config, parse_config
from hexkey.models.errors import ModelError

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


async def test_a_hangup_while_models_are_fetched_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fetch_models(*_args: object) -> dict[str, str]:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.1)
        raise ModelError("it got this far")

    monkeypatch.setattr(app, "fetch_models", fetch_models)
    with pytest.raises(ModelError, match="this far"):
        await app.serve(config(), lambda _line: None, lambda _app: None)
