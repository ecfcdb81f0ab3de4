"""Every example of the README, run as it stands there but for the ports."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import httpx
import pytest

from tests.e2e import grpcurl
from tests.e2e.conftest import ROOT, Served

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
LINES = [
    line
    for language, text in BLOCKS
    for line in text.replace("\\\n", " ").splitlines()
    if language == "sh"
]
CURL = [line for line in LINES if line.startswith("curl ")]
GRPCURL = [line for line in LINES if line.startswith("grpcurl ")]
PYTHON = [text for language, text in BLOCKS if language == "python"]


def here(served: Served, text: str) -> str:
    http = served.http.removeprefix("http://")
    return text.replace("localhost:8080", http).replace("localhost:8081", served.grpc)


def test_nothing_was_overlooked() -> None:
    assert len(CURL) >= 3
    assert len(GRPCURL) >= 2
    assert len(PYTHON) >= 2
    others = [line for line in LINES if line not in CURL + GRPCURL]
    assert all(line.startswith("make ") for line in others)


@pytest.mark.parametrize("line", CURL)
def test_curl(quickstart: Served, line: str) -> None:
    ended = subprocess.run(
        ["sh", "-c", here(quickstart, line) + " -sSf"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    if '"stream": true' in line:
        assert ended.stdout.endswith("data: [DONE]\n\n")
    else:
        assert '"text":"' in ended.stdout
        assert "error" not in json.loads(ended.stdout)


@pytest.mark.parametrize("line", GRPCURL)
def test_grpcurl(quickstart: Served, line: str) -> None:
    (answer,) = grpcurl.run(here(quickstart, line))
    assert answer.get("status") == "SERVING" or answer["translations"][0]["text"]


@pytest.mark.parametrize("code", PYTHON)
def test_python(quickstart: Served, code: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", here(quickstart, code)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip()


def test_every_path_it_names_is_there(quickstart: Served) -> None:
    table = README[README.index("## API") : README.index("## Honest limits")]
    document = httpx.get(f"{quickstart.http}/openapi.json").json()
    paths = set(re.findall(r"(/[a-z0-9/]+)`", table)) - {"/openapi.json"}
    assert len(paths) > 8
    for path in paths - set(document["paths"]):  # a page, say
        assert httpx.get(quickstart.http + path).is_success
    methods = set(re.findall(r"`([A-Z][A-Za-z]+)`", table))
    listed = (ROOT / "protos/hexkey/v1/inference.proto").read_text()
    assert {"Translate", "StreamChat"} <= methods
    assert all(f"rpc {name}(" in listed for name in methods)
