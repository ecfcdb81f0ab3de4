"""What ops teams deploy, checked as far as a machine without Docker can."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


TOOLS = ROOT / ".venv" / "tools"


def found(name: str) -> str:
    """The path of a program of Prometheus; fails where there is none, since nothing is skipped."""
    path = shutil.which(name, path=f"{TOOLS / 'usr' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if path is None:
        pytest.fail(
            f"{name} is neither in {TOOLS} nor on PATH; see `make setup-tools`", pytrace=False
        )
    return path


def promtool(*arguments: str | Path) -> str:
    """What promtool says of something that it must find good."""
    command = [found("promtool"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said
