"""Every step of the Dockerfile that is Python's, run here: the image is what comes out of them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from tests.deploy.conftest import ROOT
from tests.deploy.dockerfile import Dockerfile, Instruction
from tests.ports import spare

FILE = Dockerfile(ROOT / "Dockerfile")
INSIDE = ("/opt/hexkey", "/src", "/wheels", "/etc/hexkey")
FAKE = "models: [{name: pretend, engine: fake, tasks: [autocomplete], options: {step_ms: 2}}]\n"


class Image:
    """A folder that stands for an image's root; paths of the image are moved into it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "src"
        path = f"{root}/opt/hexkey/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
        keep = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        self.environment = {**keep, "PATH": path, "HEXKEY_CACHE": str(root / "models")}

    def moved(self, text: str) -> str:
        for path in INSIDE:
            text = text.replace(path, f"{self.root}{path}")
        return text

    def build(self, stage: str, *, leave_out: tuple[str, ...] = (" -r ", "apt-get")) -> None:
        """Run a stage's own steps, but those that install dependencies (``leave_out``)."""
        for step in FILE.stages[stage].instructions:
            if step.keyword == "COPY" and not step.flags:
                self._copy(step)
            elif step.keyword == "RUN" and not any(one in step.text for one in leave_out):
                self.run("sh", "-euc", self.moved(step.text))

    def _copy(self, step: Instruction) -> None:
        *sources, to = step.words
        target = Path(self.moved(to)) if to.startswith("/") else self.folder / to
        for source in sources:
            origin = ROOT / source
            if origin.is_dir():
                rubbish = shutil.ignore_patterns("__pycache__", "*.pyc")
                shutil.copytree(origin, target, ignore=rubbish)
            else:
                into = target / origin.name if to.endswith("/") else target
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(origin, into)

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image for CPUs; its dependencies, gigabytes of them, are those of the tests."""
    image = Image(tmp_path_factory.mktemp("image"))
    image.folder.mkdir()
    for stage in ("environment", "environment-cpu", "wheel", "cpu"):
        image.build(stage)
    image.environment["PYTHONPATH"] = sysconfig.get_path("purelib")
    return image


def test_the_dependencies_are_written_out_for_every_image(image: Image) -> None:
    base = (image.folder / "cpu.txt").read_text().splitlines()
    assert any(line.startswith("starlette") for line in base)
    gpu = (image.folder / "gpu.txt").read_text().splitlines()
    assert gpu[: len(base)] == base
    assert any(line.startswith("vllm") for line in gpu[len(base) :])


def test_what_runs_is_the_wheel_and_its_configuration_is_good(image: Image) -> None:
    where = image.run("python", "-c", "import hexkey; print(hexkey.__file__)")
    assert where.startswith(f"{image.root}/opt/hexkey/lib/")
    assert image.run("hexkey", "--version").startswith("hexkey ")
    (command,) = FILE.of("cpu", "CMD")
    assert "is good" in image.run("hexkey", "check", image.moved(command.exec_form[1]))


def test_the_command_serves_is_healthy_and_stops_when_docker_says_so(image: Image) -> None:
    http, grpc = str(spare()), str(spare())
    health = FILE.of("cpu", "HEALTHCHECK")[0].text.removeprefix("CMD ")
    asked = Instruction("CMD", (), health.replace("8080", http)).exec_form
    entrypoint, command = FILE.of("cpu", "ENTRYPOINT")[0], FILE.of("cpu", "CMD")[0]
    config = image.root / "fake.yaml"
    config.write_text(FAKE)
    words = [*entrypoint.exec_form, *command.exec_form]
    words = [word.replace("8080", http).replace("8081", grpc) for word in words]
    words[2] = str(config)

    def healthy() -> bool:
        done = subprocess.run(asked, env=image.environment, capture_output=True, check=False)
        return done.returncode == 0

    assert not healthy()
    refused = subprocess.run(
        words, env=image.environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert refused.returncode == 1
    assert "hexkey keys create" in refused.stderr
    with subprocess.Popen(
        words,
        env={**image.environment, "HEXKEY_KEYS": "off"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            deadline = time.monotonic() + 90
            while not healthy():
                assert process.poll() is None
                assert time.monotonic() < deadline
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert '"event":"stopped"' in log


def test_the_steps_of_the_gpu_image_end_in_a_good_configuration(image: Image) -> None:
    for stage in ("environment-gpu", "gpu"):
        image.build(stage)
    (command,) = FILE.of("gpu", "CMD")
    said = image.run("hexkey", "check", image.moved(command.exec_form[1]))
    assert "is good" in said
    for task in ("autocomplete", "chat", "translate", "embed"):
        assert f"  {task} " in said


def test_the_steps_that_only_root_may_take_can_be_taken(tmp_path: Path) -> None:
    """In another root, as far as the tools can be told of one, and simulated where not."""
    (users,) = (one.text for one in FILE.all("RUN") if "useradd" in one.text)
    for file in ("passwd", "group", "shadow", "gshadow"):
        (tmp_path / "etc").mkdir(exist_ok=True)
        (tmp_path / "etc" / file).touch()
    elsewhere = users.replace("groupadd", f"groupadd --prefix {tmp_path}")
    elsewhere = elsewhere.replace("useradd", f"useradd --prefix {tmp_path}")
    elsewhere = re.sub(
        r"install -d -o \d+ -g \d+ /models", f"install -d {tmp_path}/models", elsewhere
    )
    subprocess.run(["sh", "-euc", elsewhere], check=True, capture_output=True)
    assert "hexkey:x:10001:10001::/models:" in (tmp_path / "etc" / "passwd").read_text()
    assert (tmp_path / "models").is_dir()
    (packages,) = (one.text for one in FILE.all("RUN") if "apt-get install" in one.text)
    names = packages.partition("--no-install-recommends")[2].partition("&&")[0].split()
    simulated = ["apt-get", "install", "--simulate", "--no-install-recommends", *names]
    subprocess.run(simulated, check=True, capture_output=True)
