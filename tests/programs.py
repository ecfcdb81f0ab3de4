"""Programs that tests run and pip has not: on PATH, or unpacked by ``make setup-tools``."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / ".venv" / "tools"


def found(*names: str) -> str:
    """The path of the first that is there; fails where none is, since nothing is skipped."""
    path = f"{TOOLS / 'usr' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    for name in names:
        if program := shutil.which(name, path=path):
            return program
    pytest.fail(
        f"{' or '.join(names)}: neither in {TOOLS} nor on PATH; see `make setup-tools`",
        pytrace=False,
    )
