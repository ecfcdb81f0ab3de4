"""What must not happen to usage: kill -9 loses what was on disk, a full disk stops the writer."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.usage.rows import ids

ROOT = Path(__file__).parents[3]
KILLS = 12
MOUNT_BYTES = 2 << 20
CHILD = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    import structlog
    from hexkey.usage.writer import Writer
    from tests.unit.usage.rows import row, store

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    writer = Writer(store(Path(sys.argv[1])), capacity=2000, retry_s=0.05)
    writer.start()
    put = 0
    while True:
        for _ in range(50):
            writer.put(row())  # of one day, whatever the time is
        put += 50
        print(put, writer.written, writer.lost, int(writer.failing), flush=True)
        time.sleep(0.005)
""")


class Child:
    """A process that puts rows without an end, and tells what became of them."""

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            preexec_fn=None if limit is None else lambda: _limit(os.getpid(), limit),  # noqa: PLW1509
        )
        self.put = self.written = self.lost = self.failing = 0

    def read(self) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the writer's process ended"
        self.put, self.written, self.lost, self.failing = map(int, line.split())

    def until(self, what: str) -> None:
        end = time.monotonic() + 60
        while not getattr(self, what):
            assert time.monotonic() < end, what
            self.read()

    def kill(self) -> None:
        """kill -9; what it had told by then is read."""
        self.process.send_signal(signal.SIGKILL)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("\n"):
                self.put, self.written, self.lost, self.failing = map(int, line.split())
        self.process.wait()
        self.process.stdout.close()


def _limit(pid: int, size: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_kill_9_loses_nothing_that_was_told_to_be_written(tmp_path: Path) -> None:
    written = 0
    for kill in range(KILLS):
        child = Child(tmp_path)
        while not child.written or child.put < 400 + 173 * kill:
            child.read()
        child.kill()
        written += child.written
        found = ids(tmp_path)
        assert len(found) == len(set(found))
        assert len(found) >= written, "what was written is gone"
        # What came after is there without a gap: rows are lost from the end only.
        launches: dict[str, list[int]] = {}
        for one in found:
            launch, _, number = one.rpartition("-")
            launches.setdefault(launch, []).append(int(number))
        assert len(launches) == kill + 1
        assert all(numbers == list(range(len(numbers))) for numbers in launches.values())
        written = len(found)


class Disk:
    """A small disk: a tmpfs where this may mount one, else a limit on the size of files."""

    def __init__(self, folder: Path, *, real: bool) -> None:
        self.folder = folder
        self.real = real

    def run(self) -> Child:
        return Child(self.folder, None if self.real else 256 << 10)

    def make_room(self, child: Child) -> None:
        if self.real:
            subprocess.run(["mount", "-o", "remount,size=64m", str(self.folder)], check=True)
        else:
            _limit(child.process.pid, resource.RLIM_INFINITY)


@contextmanager
def _tmpfs(folder: Path) -> Iterator[bool]:
    command = ["mount", "-t", "tmpfs", "-o", f"size={MOUNT_BYTES}", "none", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(params=["disk", "limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    if request.param == "limit":
        yield Disk(tmp_path, real=False)
        return
    with _tmpfs(tmp_path) as mounted:
        yield Disk(tmp_path, real=mounted)


def test_a_full_disk_costs_rows_and_nothing_else(disk: Disk) -> None:
    child = disk.run()
    try:
        child.until("failing")
        child.until("lost")
        on_disk = child.written
        assert on_disk > 0
        assert len(ids(disk.folder)) >= on_disk, "what was written cannot be read any more"
        disk.make_room(child)
        # What waited is written first; from then on nothing is lost.
        while child.failing or child.put - child.written - child.lost > 500:
            child.read()
        lost = child.lost
        for _ in range(20):
            child.read()
        assert child.lost == lost, "rows are lost although there is room"
        assert child.written > on_disk
    finally:
        child.kill()
    found = ids(disk.folder)
    assert len(found) == len(set(found)) >= child.written
