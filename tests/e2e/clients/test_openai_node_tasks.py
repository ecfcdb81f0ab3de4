"""OpenAI's client for Node on vectors and speech, and how it takes an overload."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.clients.test_docs import NODE, NODE_MODULES
from tests.e2e.conftest import ROOT, Served, serve

SCRIPT = Path(__file__).with_name("openai_node_tasks.cjs")
BUSY = """
models:
  - name: slow
    engine: fake
    tasks: [autocomplete]
    options: {step_ms: 20}
    queue: {concurrency: 1, max_requests: 0}
"""


@pytest.fixture(scope="module")
def seen(full: Served, tmp_path_factory: pytest.TempPathFactory) -> Any:
    config = tmp_path_factory.mktemp("busy") / "config.yaml"
    config.write_text(BUSY)
    with serve(config) as busy:
        done = subprocess.run(
            [NODE, str(SCRIPT), full.http, busy.http],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=ROOT,
            env=os.environ | {"NODE_PATH": str(NODE_MODULES)},
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_vectors(seen: Any) -> None:
    assert np.array(seen["float"]).shape == (2, 384)
    assert seen["packed"] == pytest.approx(np.array(seen["float"]), abs=1e-6)


def test_speech(seen: Any) -> None:
    assert seen["text"] == "How much does the machine cost? It costs ten cents an hour."
    assert "".join(seen["segments"]).replace(" ", "") == seen["text"].replace(" ", "")
    assert seen["events"][-1] == "transcript.text.done"
    assert set(seen["events"][:-1]) == {"transcript.text.delta"}


def test_an_overload_is_tried_again_after_as_long_as_it_says(seen: Any) -> None:
    assert seen["refused"] == {"status": 503, "after": "1"}
    assert seen["retried"]
    assert seen["took_ms"] >= 900
