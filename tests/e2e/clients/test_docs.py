"""Every example of docs/clients.md, run as a reader would run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Served

EVERY_TASK = "## With every task"
PAGE = ROOT / "docs" / "clients.md"
NODE = str(Path(sys.executable).with_name("node"))
NODE_MODULES = Path(sys.prefix) / "tools" / "node_modules"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMENT = {"python": "# ", "sh": "# ", "js": "// "}
COMMAND = {"python": [sys.executable, "-c"], "sh": ["bash", "-c"], "js": [NODE, "-e"]}


def examples() -> list[tuple[str, str]]:
    return FENCE.findall(PAGE.read_text())


def expected(language: str, code: str) -> list[str]:
    """The last comment lines: what the example prints."""
    lines = []
    for line in reversed(code.splitlines()):
        if not line.startswith(COMMENT[language]):
            break
        lines.append(line.removeprefix(COMMENT[language]))
    return lines[::-1]


@pytest.mark.parametrize(
    ("language", "code"), examples(), ids=[code.split("\n")[0] for _, code in examples()]
)
def test_an_example_prints_what_it_says(
    request: pytest.FixtureRequest, language: str, code: str
) -> None:
    needs_all = code in PAGE.read_text().partition(EVERY_TASK)[2]
    served: Served = request.getfixturevalue("full" if needs_all else "quickstart")
    said = expected(language, code)
    assert said, "an example ends with comments that tell what it prints"
    done = subprocess.run(
        [*COMMAND[language], code.replace("localhost:8080", served.http.removeprefix("http://"))],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
        env=os.environ | {"NODE_PATH": str(NODE_MODULES)},
    )
    assert done.returncode == 0, done.stderr
    for line in said:
        assert line in done.stdout
    if language != "sh":
        assert done.stdout.rstrip("\n").split("\n") == said


def test_every_client_of_the_table_has_an_example_or_is_an_editor() -> None:
    table = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    names = [re.findall(r"`([^`]+)`", line.split("|")[1])[0] for line in table]
    code = "\n".join(code for _, code in examples())
    assert names
    assert [name for name in names if name.replace("-", "_") not in code] == []
