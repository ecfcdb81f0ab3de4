"""A terminal with a program that leads its session, as a person has one in a window."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Sequence

import psutil

_LEAD = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """Shows what its program writes, and types for it."""

    def __init__(self, command: Sequence[str], cwd: os.PathLike[str] | None = None) -> None:
        self._fd, theirs = pty.openpty()
        os.set_blocking(self._fd, False)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LEAD, *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            cwd=cwd,
        )
        os.close(theirs)
        self._shown = b""

    @property
    def shown(self) -> str:
        """All that was written so far."""
        with contextlib.suppress(OSError):  # nothing is there, or nobody is left to write
            while data := os.read(self._fd, 1 << 16):
                self._shown += data
        return self._shown.decode(errors="replace")

    @property
    def ended(self) -> bool:
        """Whether its program has ended."""
        _ = self.shown  # else it could wait for room to write
        return self.process.poll() is not None

    def type(self, keys: str) -> None:
        """Press keys; ``^C`` is one."""
        os.write(self._fd, keys.encode())

    def close(self) -> None:
        """Close the window."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@contextlib.contextmanager
def terminal(command: Sequence[str], cwd: os.PathLike[str] | None = None) -> Iterator[Terminal]:
    """Open one for as long as the block lasts."""
    one = Terminal(command, cwd)
    try:
        yield one
    finally:
        one.close()
        for each in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                if os.getsid(each.pid) == one.process.pid:
                    each.kill()
        one.process.wait()
