"""The Dockerfile keeps the rules that hadolint holds it to, and some of our own."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hexkey.config import Config
from tests.deploy.conftest import ROOT
from tests.deploy.dockerfile import Dockerfile

FILE = Dockerfile(ROOT / "Dockerfile")
TARGETS = ["cpu", "gpu"]
KNOWN = {"FROM", "ENV", "WORKDIR", "RUN", "COPY", "VOLUME", "EXPOSE", "ENTRYPOINT", "CMD", "USER"}


def pins(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text().splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pairs}


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps ``path`` out; the last line that matches it or a parent wins."""
    out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = Path(path).parts
        names = parts if "**/" in line else ["/".join(parts[: i + 1]) for i in range(len(parts))]
        if not line.startswith("#") and any(fnmatch(name, pattern) for name in names):
            out = not line.startswith("!")
    return out


def test_hadolint_has_nothing_to_say() -> None:
    program = Path(sys.executable).parent / "hadolint"
    done = subprocess.run(
        [program, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_two_images_can_be_built_and_the_one_for_cpus_is_the_default() -> None:
    assert set(TARGETS) <= set(FILE.stages)
    assert FILE.default == "cpu"
    for instruction in (one for stage in FILE.stages.values() for one in stage.instructions):
        assert instruction.keyword in KNOWN | {"HEALTHCHECK"}


def test_base_images_are_pinned_to_a_full_version_and_name_no_registry() -> None:
    assert FILE.bases()
    for base in FILE.bases():
        name, _, tag = base.partition(":")
        assert re.match(r"\d+\.\d+\.\d+", tag), base
        assert "." not in name
        assert "/" not in name


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_as_nobody_special(target: str) -> None:
    # A number, so that Kubernetes can tell (runAsNonRoot) without looking into the image.
    user = FILE.of(target, "USER")[-1].text
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert FILE.stages[target].instructions[-1].keyword == "USER"
    assert f"--uid {user.split(':')[0]}" in " ".join(one.text for one in FILE.of(target, "RUN"))


@pytest.mark.parametrize("target", TARGETS)
def test_the_command_is_in_exec_form_and_listens_where_docker_can_reach_it(target: str) -> None:
    (entrypoint,), (command,) = FILE.of(target, "ENTRYPOINT"), FILE.of(target, "CMD")
    assert entrypoint.exec_form == ["hexkey"]
    words = command.exec_form
    assert words[0] == "serve"
    assert FILE.of(target, "EXPOSE")[-1].words == ["8080", "8081"]
    assert words[words.index("--http") + 1] == "0.0.0.0:8080"
    assert words[words.index("--grpc") + 1] == "0.0.0.0:8081"
    (config,) = [one.words for one in FILE.of(target, "COPY") if words[1] == one.words[-1]]
    assert len(config) == 2


@pytest.mark.parametrize("target", TARGETS)
def test_models_are_a_volume_and_health_is_readiness(target: str) -> None:
    environment = " ".join(one.text for one in FILE.of(target, "ENV")).split()
    assert "HEXKEY_CACHE=/models" in environment
    assert FILE.of(target, "VOLUME")[-1].text == "/models"
    (health,) = FILE.of(target, "HEALTHCHECK")
    assert "'/ready'" in health.text
    assert "8080" in health.text
    assert "curl" not in health.text


def test_what_is_copied_exists_and_gets_past_dockerignore() -> None:
    for instruction in FILE.all("COPY"):
        origin = [flag.partition("=")[2] for flag in instruction.flags if "--from=" in flag]
        if origin:
            assert origin[0] in FILE.stages
            continue
        *sources, _ = instruction.words
        for source in sources:
            assert (ROOT / source).exists(), source
            assert not ignored(source), source
    assert all(one.keyword != "ADD" for stage in FILE.stages.values() for one in stage.instructions)


def test_dockerignore_keeps_out_what_is_no_part_of_the_product() -> None:
    # What lies beside the sources on this machine, whatever it is, stays here.
    kept = {path.name for path in ROOT.iterdir() if not ignored(path.name)}
    assert kept == {
        "pyproject.toml",
        "constraints.txt",
        "README.md",
        "LICENSE",
        "server",
        "configs",
    }
    for path in (".env", ".git/config", ".venv/bin/python", "server/hexkey/__pycache__/app.pyc"):
        assert ignored(path)


def test_no_step_leaves_rubbish_or_a_secret_behind() -> None:
    for run in FILE.all("RUN"):
        if "apt-get" in run.text:
            assert "--no-install-recommends" in run.text
            assert run.text.rstrip().endswith("rm -rf /var/lib/apt/lists/*")
        assert not re.search(r"sudo|curl|wget|\bcd\b|https?:", run.text)
        if "pip install" in run.text:
            assert re.search(r"-c constraints(-gpu)?\.txt|--no-index", run.text)
    assert not FILE.all("ARG")
    text = (ROOT / "Dockerfile").read_text()
    assert not re.search(r"https?://|token|password", text, re.IGNORECASE)


@pytest.mark.parametrize(
    ("extra", "file"), [("", "constraints.txt"), ("gpu", "deploy/constraints-gpu.txt")]
)
def test_what_an_image_installs_is_pinned(extra: str, file: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = pins(file)
    for line in project["dependencies"] + project["optional-dependencies"].get(extra, []):
        requirement = Requirement(line)
        if requirement.name != "pip":
            name = re.sub(r"[-_.]+", "-", requirement.name).lower()
            assert name in pinned, f"{line} is not in {file}"
            assert requirement.specifier.contains(pinned[name]), line


def test_the_gpu_image_has_vllm_and_the_torch_that_it_was_made_for() -> None:
    assert {"vllm", "torch"} <= pins("deploy/constraints-gpu.txt").keys()
    # A local version (+cpu) would come from an index that others do not have.
    assert not [one for one in pins("deploy/constraints-gpu.txt").values() if "+" in one]


def test_docker_waits_longer_than_a_stop_may_take() -> None:
    text = (ROOT / "deploy" / "compose.yaml").read_text()
    match = re.search(r"stop_grace_period: (\d+)s", text)
    assert match
    limits = Config(models=()).limits
    assert int(match[1]) > limits.lame_duck_s + limits.stop_grace_s
