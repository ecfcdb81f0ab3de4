"""The file of keys and the pepper beside it: both readable by their owner only.

Writers take a lock and replace the file whole, so a server reads the old keys or the new ones.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from typing import TYPE_CHECKING

import msgspec

from hexkey.identity.keys import PEPPER_BYTES, KeyRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
MAX_BYTES = 16 << 20


class KeyFileError(Exception):
    """A file of keys that cannot be used; the message says what to do."""


class _Content(msgspec.Struct):
    version: int
    keys: list[KeyRecord]


class KeyFile:
    """Keys at ``path``; the pepper is at ``path`` with ``.pepper`` put after it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pepper = path.with_name(path.name + ".pepper")

    def read(self) -> list[KeyRecord]:
        """Return the keys; none where there is no file yet. ``KeyFileError`` if it is unfit."""
        data = _private(self.path)
        if data is None:
            return []
        try:
            content = msgspec.json.decode(data, type=_Content)
        except msgspec.MsgspecError as error:
            raise KeyFileError(f"{self.path} is not a file of keys: {error}") from None
        if content.version != 1:
            raise KeyFileError(f"{self.path} is of version {content.version}; this server reads 1")
        return content.keys

    def pepper(self) -> bytes:
        """Return the pepper, made at the first use."""
        made = _private(self._pepper)
        if made is None:
            with self._locked():
                made = _private(self._pepper) or self._make_pepper()
        if len(made) != PEPPER_BYTES:
            raise KeyFileError(f"{self._pepper} must hold {PEPPER_BYTES} bytes; restore it")
        return made

    def change(self, change: Callable[[list[KeyRecord]], list[KeyRecord]]) -> None:
        """Write what ``change`` makes of the keys; nobody else writes meanwhile."""
        with self._locked():
            content = _Content(1, change(self.read()))
            _replace(self.path, msgspec.json.format(msgspec.json.encode(content)))

    def changed_at(self) -> float:
        """Return when the file was last written, 0 where there is none."""
        try:
            return self.path.stat().st_mtime
        except OSError:
            return 0.0

    def _make_pepper(self) -> bytes:
        pepper = secrets.token_bytes(PEPPER_BYTES)
        _replace(self._pepper, pepper)
        return pepper

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _replace(path, data)


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _private(path: Path) -> bytes | None:
    """Return what a secret file holds, None where there is none; others must not read it."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS:
                raise KeyFileError(f"{path} can be read by others; run: chmod 600 {path}")
            return file.read(MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from None
