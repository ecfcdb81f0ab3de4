"""What ops teams deploy, checked as far as a machine without Docker can."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.programs import ROOT, found

__all__ = ["DEPLOY", "ROOT", "promtool"]

DEPLOY = ROOT / "deploy"


def promtool(*arguments: str | Path) -> str:
    """What promtool says of something that it must find good."""
    command = [found("promtool"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said
