"""Starting and ending one host process: its socket, its lifeline, its process group."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from hexkey.engines import sharedmemory
from hexkey.engines.console import Console
from hexkey.engines.frames import Launch, Shutdown

if TYPE_CHECKING:
    from collections.abc import Callable

    from hexkey.engines.link import Link

TERMINATE_S = 3.0
BUFFER_BYTES = 4 << 20
"""Asked for, each way; the kernel gives what its own limit allows."""
_EXITING = 0x4  # PF_EXITING
_KILLED = 1 << (signal.SIGKILL - 1)


def resident_bytes(pid: int | None) -> int:
    """Return the memory that a host holds with its descendants; 0 where there is none.

    Of these what files and segments have in memory is left out: the host has most of it, too.
    """
    if pid is None or not (pages := _pages(pid)):
        return 0
    others = [_pages(one) for one in sharedmemory.members(pid) if one != pid]
    own = sum(resident - shared for resident, shared in filter(None, others))
    return (pages[0] + own) * os.sysconf("SC_PAGE_SIZE")


def _pages(pid: int) -> tuple[int, int] | None:
    """Pages of a process that are in memory, and how many of them others may have as well."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except (OSError, ValueError):
        return None
    return int(resident), int(shared)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, all its threads; 0 where that cannot be told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):
        return 0.0


def dying(pid: int) -> bool:
    """Tell whether a process is about to end, or has.

    The kernel closes what a killed process has open only when its memory is gone (measured: 0.4 s
    for 3 GiB, and seconds where others have the cores), and tells of its end after that. That it
    was killed can be read at once: a SIGKILL that waits for it, or the flag of one that exits.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return Path("/proc/self").exists()
    except OSError:
        return False  # we cannot look, for want of file descriptors say, which tells nothing of it
    return stat[0] in "ZX" or bool(int(stat[6]) & _EXITING or int(stat[28]) & _KILLED)


def ending(returncode: int | None) -> str:
    """Return how a process ended, in words for a metric's label."""
    if returncode is None:
        return "exit"
    if returncode == errno.ENOMEM:
        return "oom"
    return f"signal {-returncode}" if returncode < 0 else f"exit {returncode}"


def _leading_a_group() -> dict[str, Any]:
    """Return what makes a process that this loop starts the leader of a process group.

    Not of a session: where the kernel shares cores out by session (autogroup), one that computes
    could keep all others from them for a second at a time (ADR 1). uvloop has no ``process_group``,
    and runs Python's handlers between fork and exec in any case. asyncio's own loop would do so for
    a ``preexec_fn`` alone, and those of gRPC crash there.
    """
    uv = isinstance(asyncio.get_running_loop(), uvloop.Loop)
    return {"preexec_fn": os.setpgrp} if uv else {"process_group": 0}


class HostProcess:
    """A running host and its link.

    The socket is one of a pair made here, so it has no name that another process could open; the
    lifeline is the write end of the child's stdin, which the kernel closes however we end.
    """

    def __init__(self, process: asyncio.subprocess.Process, link: Link, console: Console) -> None:
        self._process = process
        self.link = link
        self._console = console

    @property
    def pid(self) -> int:
        """Process id, which is the id of its process group too."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        return self._process.returncode

    @property
    def cpu_s(self) -> float:
        """CPU time that was used to compute; 0 where that is done by a device."""
        ready = self.link.ready
        return sum(map(cpu_seconds, ready.workers)) if ready is not None else 0.0

    @property
    def dying(self) -> bool:
        """Whether it is about to end, though nothing has told so yet."""
        return dying(self.pid)

    @classmethod
    async def start(cls, launch: Launch, make_link: Callable[[], Link]) -> HostProcess:
        """Start a host and send it what to load."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        for one in (ours, theirs):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        try:
            console = Console(launch.model)
        except OSError:
            ours.close()
            theirs.close()
            raise
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # else a file in the directory where we were started could be what it imports
                "-m",
                "hexkey.engines.host",
                str(theirs.fileno()),
                launch.model,  # for those who look at the machine's processes
                stdin=subprocess.PIPE,
                stdout=console.write_fd,
                stderr=console.write_fd,
                pass_fds=(theirs.fileno(),),
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                **_leading_a_group(),
            )
        except BaseException:
            ours.close()
            console.close()
            raise
        finally:
            theirs.close()
            console.started()
        loop = asyncio.get_running_loop()
        try:
            _, link = await loop.create_unix_connection(make_link, sock=ours)
        except BaseException:
            # Whoever cancels a start has no host to end yet.
            ours.close()
            process.kill()
            await process.wait()
            console.close()
            raise
        link.send(launch)
        return cls(process, link, console)

    def kill(self) -> None:
        """End the process and all its descendants at once."""
        segments = sharedmemory.of_group(self.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        sharedmemory.unlink(segments)

    async def wait(self) -> int:
        """Wait for the end; return the exit status."""
        status = await self._process.wait()
        self._console.close()
        lifeline = self._process.stdin
        if lifeline is not None:
            # Else a loop that ends now would leave the pipe's transport open.
            lifeline.close()
            with contextlib.suppress(OSError):
                await lifeline.wait_closed()
        return status

    async def stop(self) -> None:
        """Ask the host to end, insist after ``TERMINATE_S``, and wait until it is gone."""
        self.link.send(Shutdown())
        try:
            async with asyncio.timeout(TERMINATE_S):
                await self._process.wait()
        except TimeoutError:
            pass
        finally:
            self.kill()
            self.link.abort("the engine was stopped")
            # Where this is cancelled too: what was killed is gone in no time, and must be reaped.
            await self.wait()
