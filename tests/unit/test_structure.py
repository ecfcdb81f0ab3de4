"""The shape of the code base: small files, nothing that runs data, a front end that loads fast."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hexkey.engines import factory

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "server" / "hexkey"
MAX_LINES = 400
HEAVY = ("torch", "vllm", "openvino", "openvino_genai", "onnxruntime", "ctranslate2", "tokenizers")
FRONT_END = ["service", "pool", "config", "cli", "app", "wire.http.server", "wire.grpc.server"]
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
CALLS = {"eval", "exec", "__import__", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}


def sources(*folders: Path) -> list[Path]:
    found = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return [path for path in found if SERVER / "v1" not in path.parents]


def test_no_file_is_long() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in sources(SERVER, ROOT / "tests")}
    assert lengths
    assert {str(path): size for path, size in lengths.items() if size > MAX_LINES} == {}


def dangers(tree: ast.AST) -> Iterator[str]:
    """What in the code turns data into code; what merely names it, to refuse it, is no danger."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from {one.name.partition(".")[0] for one in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            yield from {(node.module or "").partition(".")[0]} & MODULES
        elif isinstance(node, ast.Call):
            yield from {ast.unparse(node.func)} & CALLS
        elif isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
            yield node.arg


WALL = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today"}
WALL |= {"date.today", "time.localtime", "time.gmtime", "time.strftime"}
# Each tells somebody a time, or keeps to a calendar: durations and limits have the monotonic one.
CALENDARS = {
    *("commands/costs.py", "commands/keys.py", "glossaries.py", "identity/access.py"),
    *("identity/keyring.py", "models/cache.py", "provisioning.py", "recorder.py", "tracing.py"),
    *("usage/store.py", "usage/writer.py", "vitals/monitor.py", "wire/http/models.py"),
    *("wire/http/families/ollama.py", "wire/http/openai_common.py"),
}


def test_the_clock_that_people_set_is_read_by_who_tells_the_time_only() -> None:
    found = set()
    for path in sources(SERVER):
        text = path.read_text()
        assert not re.search(r"from time import .*\btime\b", text), path
        calls = (one.func for one in ast.walk(ast.parse(text)) if isinstance(one, ast.Call))
        if WALL & {ast.unparse(one) for one in calls}:
            found.add(str(path.relative_to(SERVER)))
    assert found == CALENDARS


def test_nothing_in_the_server_runs_data() -> None:
    found = [
        (str(path.relative_to(SERVER)), danger)
        for path in sources(SERVER)
        for danger in dangers(ast.parse(path.read_text()))
    ]
    assert found == []


def test_a_danger_would_be_found() -> None:
    code = "import pickle\nfrom marshal import loads\neval('1')\nf(trust_remote_code=True)"
    assert set(dangers(ast.parse(code))) == {"pickle", "marshal", "eval", "trust_remote_code"}


@pytest.mark.parametrize("name", FRONT_END)
def test_the_front_end_loads_no_engine_library(name: str) -> None:
    code = (
        f"import sys, hexkey.{name}\n"
        f"heavy = {HEAVY!r}\n"
        "print(*sorted({one.partition('.')[0] for one in sys.modules} & set(heavy)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_base_install_has_no_torch() -> None:
    needed: set[str] = set()
    left = ["hexkey"]
    while left:
        name = canonicalize_name(left.pop())
        if name in needed:
            continue
        needed.add(name)
        requirements = map(Requirement, metadata.requires(name) or ())
        left += [
            one.name
            for one in requirements
            if one.marker is None or one.marker.evaluate({"extra": ""})
        ]
    assert {"openvino-genai", "onnxruntime", "ctranslate2"} <= needed
    assert needed.isdisjoint({"torch", "transformers", "vllm"})


@pytest.mark.parametrize("name", factory.NAMES)
def test_every_engine_can_be_found(name: str) -> None:
    assert callable(factory.find(name))


def test_finding_engines_is_what_loads_their_libraries() -> None:
    with pytest.raises(KeyError):
        factory.find("no such engine")
    code = "import sys; from hexkey.engines import factory; print('onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
