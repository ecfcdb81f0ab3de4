"""OpenAI's client for Node against the real models."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients.test_docs import NODE, NODE_MODULES
from tests.e2e.conftest import Served

SCRIPT = Path(__file__).with_name("openai_node.cjs")


@pytest.fixture(scope="module")
def seen(quickstart: Served) -> Any:
    done = subprocess.run(
        [NODE, str(SCRIPT), quickstart.http],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"NODE_PATH": str(NODE_MODULES)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_chat_streams_what_it_says(seen: Any) -> None:
    assert "Paris" in seen["chat"]
    assert seen["streamed"] == seen["chat"]
    assert seen["usage"]["completion_tokens"] > 0


def test_completions_and_models(seen: Any) -> None:
    assert "Paris" in seen["completion"]
    assert "smollm2-135m-instruct" in seen["models"]


def test_responses(seen: Any) -> None:
    assert "Paris" in seen["response"]
    assert seen["events"][0] == "response.created"
    assert seen["events"][-1] == "response.completed"


def test_errors_are_the_clients_own(seen: Any) -> None:
    assert (seen["missing"]["name"], seen["missing"]["status"]) == ("NotFoundError", 404)
    assert "smollm2-135m-instruct" in seen["missing"]["message"]
    assert (seen["wrong"]["name"], seen["wrong"]["status"]) == ("BadRequestError", 400)
