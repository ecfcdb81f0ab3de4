"""A ``hexkey serve`` under test: its process, its output, where it listens."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).parents[2]
READY_S = 90.0


@dataclass
class Served:
    """A running ``hexkey serve``: its process, what it printed, where it listens."""

    process: subprocess.Popen[str]
    out: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    http: str = ""
    grpc: str = ""

    def children(self) -> list[psutil.Process]:
        children: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return children

    def host_of(self, model: str) -> psutil.Process:
        """The process that runs a model's engine, as its command line says."""
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.cmdline()[-1:] == [model]:
                    return child
        raise AssertionError(f"no process runs {model}")

    def metric(self, series: str) -> float:
        """The value of a series, named without the prefix that all have; 0 if there is none."""
        for line in httpx.get(f"{self.http}/metrics", timeout=30).text.splitlines():
            name, _, value = line.rpartition(" ")
            if name == f"hexkey_{series}":
                return float(value)
        return 0.0


@contextlib.contextmanager
def serve(
    config: Path, *, http: str = "127.0.0.1:0", grpc: str = "127.0.0.1:0", read_log: bool = True
) -> Iterator[Served]:
    """Run the command until the block is left; gives it once the banner is out or it ended."""
    command = [sys.executable, "-m", "hexkey.cli", "serve", str(config)]
    process = subprocess.Popen(
        [*command, "--http", http, "--grpc", grpc],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    served = Served(process)
    up = threading.Event()

    def read_out() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            served.out.append(line)
            if match := re.match(r"\s+HTTP\s+(http://\S+)", line):
                served.http = match[1]
            if match := re.match(r"\s+gRPC\s+(\S+)", line):
                served.grpc = match[1]
            if line.startswith("Try:"):
                up.set()
        up.set()

    def read_stderr() -> None:
        assert process.stderr is not None
        served.log.extend(process.stderr)

    reads = (read_out, read_stderr) if read_log else (read_out,)
    readers = [threading.Thread(target=read, daemon=True) for read in reads]
    for reader in readers:
        reader.start()
    try:
        assert up.wait(READY_S), "".join(served.out + served.log)
        yield served
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for reader in readers:
            reader.join(5)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stderr.close()
