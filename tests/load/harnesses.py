"""Runs what ``docs/load-testing.md`` says: each harness, as it stands there, on a server of ours.

    make load ARGS="aiperf guidellm"

Without names all of them run. A harness is a block of the page that begins with ``# in: FOLDER``,
the environment that it runs in, and a comment with the requirements to make it of, if any.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.served import ROOT, serve

PAGE = ROOT / "docs" / "load-testing.md"
FOLDER = ROOT / ".venv-load"
_BLOCK = re.compile(
    r"^## (?P<name>\w+).*?^```sh\n# in: (?P<env>\S+)(?P<needs>[^\n]*)\n(?P<code>.*?)^```",
    re.MULTILINE | re.DOTALL,
)


def blocks() -> dict[str, tuple[str, list[str], str]]:
    """Return each harness's environment, requirements and commands, by the page's headings."""
    found = _BLOCK.finditer(PAGE.read_text())
    return {one["name"].lower(): (one["env"], one["needs"].split(), one["code"]) for one in found}


def environment(folder: Path, needs: list[str]) -> Path:
    """Return the programs of an environment, made where there is none."""
    if needs and not (folder / ".ready").exists():
        print(f"making {folder} of {' '.join(needs)} …")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *needs]
        subprocess.run(pip, check=True)
        (folder / ".ready").touch()
    return folder / "bin"


def run(code: str, programs: Path, http: str, grpc: str) -> int:
    """Run commands of the page on a server that listens elsewhere."""
    code = code.replace("localhost:8080", http.removeprefix("http://"))
    code = code.replace("localhost:8081", grpc)
    path = f"{programs}:{os.environ['PATH']}"
    told = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_TELEMETRY": "1"}
    return subprocess.run(["bash", "-ec", code], cwd=ROOT, env=told, check=False).returncode


def main(names: list[str]) -> int:
    """Run harnesses by name; returns the number of those that failed."""
    known = blocks()
    if unknown := set(names) - set(known):
        raise SystemExit(f"no {', '.join(unknown)}; there is: {', '.join(known)}")
    failed = 0
    with serve(ROOT / "configs" / "quickstart.yaml") as served:
        for name in names or known:
            env, needs, code = known[name]
            programs = environment(ROOT / env, needs)
            if not programs.is_dir():
                print(f"{name} is left out: there is no {env}")
                continue
            print(f"== {name}", flush=True)
            failed += run(code, programs, served.http, served.grpc) != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
