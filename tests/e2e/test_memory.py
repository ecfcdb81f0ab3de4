"""Models that want more memory than they may have together: refused or unloaded before a load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import psutil

from tests.e2e.conftest import ROOT, Served, serve

BOUND = "limits: {memory_gib: 1.0}\n"
TOO_MUCH = f"""{BOUND}
models:
  - {{name: large, engine: fake, tasks: [chat], memory_gib: 0.6}}
  - {{name: larger, engine: fake, tasks: [chat], memory_gib: 0.7}}
"""
ONE_OF_TWO = f"""{BOUND}
models:
  - {{name: stays, engine: fake, tasks: [chat], memory_gib: 0.5, pinned: true}}
  - {{name: one, engine: fake, tasks: [chat], memory_gib: 0.4, load: on_request}}
  - {{name: other, engine: fake, tasks: [chat], memory_gib: 0.4, load: on_request,
     options: {{load_ms: 500}}}}
  - {{name: huge, engine: fake, tasks: [chat], memory_gib: 0.6, load: on_request}}
"""


def ask(served: Served, model: str) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "x"}], "max_tokens": 2}
    return httpx.post(f"{served.http}/v1/chat/completions", json=body, timeout=60)


def hosts(served: Served) -> dict[str, psutil.Process]:
    """The processes that hold a model."""
    found = {}
    for child in served.children():
        line = child.cmdline()
        if "hexkey.engines.host" in line:
            found[line[-1]] = child
    return found


def test_a_server_whose_models_do_not_fit_says_which_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(TOO_MUCH)
    command = [sys.executable, "-m", "hexkey.cli", "serve", str(path)]
    done = subprocess.run(
        [*command, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "model 'larger' needs 0.70 GiB and 0.40 GiB of 1.00 GiB can be had" in done.stderr
    assert "large (0.60 GiB" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_makes_room_before_the_next_is_loaded_and_a_pinned_one_stays(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(ONE_OF_TWO)
    with serve(path) as served:
        assert list(hosts(served)) == ["stays"]
        stays = hosts(served)["stays"].pid
        for model, gone in (("one", "other"), ("other", "one"), ("one", "other")):
            assert ask(served, model).status_code == 200
            assert set(hosts(served)) == {"stays", model}, f"{gone} has left"
        refused = ask(served, "huge")
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "out_of_memory"
        message = refused.json()["error"]["message"]
        assert "'huge' needs 0.60 GiB" in message
        assert "stays (0.50 GiB, pinned)" in message
        assert ask(served, "stays").status_code == 200
        assert hosts(served)["stays"].pid == stays
