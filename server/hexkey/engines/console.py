"""What a host prints, as lines of our log.

Its libraries print when they like. Were they to share our stderr, a reader who stops reading that
would stop the engine in the midst of a step, and what they print would stand between our lines of
JSON as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

import structlog

MOST_BYTES = 8 << 10
"""Taken at a time, so that a host that prints without end leaves our loop to others."""

LAST_READS = 10
"""More than a pipe holds, and an end where somebody still prints."""

log = structlog.get_logger("hexkey.engine")


class Console:
    """The read end of a pipe; ``write_fd`` is for the host, and for us only until it has started.

    It is read from its making until all who write to it have closed it, or until ``close``.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._read_fd, self.write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        self._begun = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._read_fd, self._read)
        self._open = True

    def started(self) -> None:
        """Leave the write end to the host, which has it by now or never will."""
        os.close(self.write_fd)

    def close(self) -> None:
        """Take what is there, its last words say, and no more."""
        for _ in range(LAST_READS):
            if not self._read():
                break
        self._end()

    def _read(self) -> bool:
        """Log what is there; return whether there may be more."""
        if not self._open:
            return False
        try:
            data = os.read(self._read_fd, MOST_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._end()
            return False
        *lines, self._begun = (self._begun + data).split(b"\n")
        if len(self._begun) > MOST_BYTES:
            lines.append(self._begun)
            self._begun = b""
        for line in lines:
            self._say(line)
        return True

    def _say(self, line: bytes) -> None:
        if text := line.decode(errors="replace").rstrip():
            log.info("engine prints", model=self._model, text=text)

    def _end(self) -> None:
        if not self._open:
            return
        self._open = False
        self._say(self._begun)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.remove_reader(self._read_fd)
        os.close(self._read_fd)
