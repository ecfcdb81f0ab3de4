"""Disk space held back: a full disk first takes this, and the ledger goes on for a while."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BYTES = 8 << 20
SHARE = 8
"""The ballast takes at most this part of what is free: one in eight."""


class Ballast:
    """A file of real blocks, ``BYTES`` where there is plenty of space."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def held(self) -> int:
        """Bytes that can be given back."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def hold(self) -> None:
        """Take as much as is reasonable; without space, do without."""
        held = self.held
        try:
            disk = os.statvfs(self._path.parent)
            size = min(BYTES, (disk.f_bavail * disk.f_frsize + held) // SHARE)
            if size <= held:
                return
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                os.posix_fallocate(handle, 0, size)
            finally:
                os.close(handle)
        except OSError:
            self.release()

    def release(self) -> None:
        """Give the space back."""
        try:
            os.truncate(self._path, 0)
        except OSError:
            return
