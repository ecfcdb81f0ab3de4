"""POSIX shared memory that a library's processes leave behind when they are killed.

Python's ``SharedMemory`` is a file ``/dev/shm/psm_…`` (a semaphore: ``sem.mp-…``) that outlives its
makers. Whoever ends a process group asks first which of them it maps, and unlinks those; what a
group left that ended with nobody there is known by the list that it wrote down (``remember``) and
swept at the next start. While a group loads, what it maps is looked up again and again
(``followed``), since a process that dies then has told nobody.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SHM = Path("/dev/shm")  # noqa: S108 - what it is about
_NAME = re.compile(rb"/dev/shm/((?:psm_|sem\.mp-)\w+)$", re.MULTILINE)
_PROC = Path("/proc")
_LOOK_S = 0.2


def members(group: int) -> list[int]:
    """Process ids of a group; empty where there is no /proc."""
    found: list[int] = []
    for folder in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended
            if os.getpgid(int(folder.name)) == group:
                found.append(int(folder.name))
    return found


def of_group(group: int) -> set[str]:
    """Names of the segments that the processes of a group map."""
    names: set[str] = set()
    for pid in members(group):
        with contextlib.suppress(OSError):  # it ended, or is not ours
            found = _NAME.findall((_PROC / str(pid) / "maps").read_bytes())
            names.update(name.decode() for name in found)
    return names


def unlink(names: Iterable[str]) -> None:
    """Remove segments; who maps one keeps it, and the memory goes with the last of them."""
    for name in names:
        with contextlib.suppress(OSError):
            (_SHM / name).unlink()


def remember(group: int, names: Iterable[str] | None = None) -> None:
    """Write down what a group maps now (or ``names``), for ``sweep``."""
    mapped = of_group(group) if names is None else names
    note = folder() / f"{group}.{_born(group)}.{_namespace()}"
    note.write_text("\n".join(sorted(mapped)))


@contextlib.contextmanager
def followed(group: int) -> Iterator[None]:
    """Write down what a group maps, as it comes, inside the block; unlink it where that raises."""
    names: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while True:
            if fresh := of_group(group) - names:
                names.update(fresh)
                remember(group, names)
            if over.wait(_LOOK_S):
                return

    looking = threading.Thread(target=look, name="follow-shared-memory", daemon=True)
    looking.start()
    try:
        yield
    except BaseException:
        unlink(names)
        raise
    finally:
        over.set()
        looking.join()


def sweep() -> None:
    """Unlink what groups wrote down whose first process is no more."""
    for note in folder().glob("[0-9]*"):
        group, born, *namespace = note.name.split(".")
        # Containers may share /dev/shm and not their process ids.
        if namespace != [_namespace()] or _born(int(group)) == born:
            continue
        names = note.read_text().split()
        # A process of that group may live on and use them, and end by itself.
        if not of_group(int(group)):
            unlink(name for name in names if _NAME.fullmatch(f"{_SHM}/{name}".encode()))
            note.unlink(missing_ok=True)


def folder() -> Path:
    """Where hosts of one user leave notes for one another; they vanish at a reboot."""
    path = _SHM / f"hexkey-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def _namespace() -> str:
    """Which process ids ours are among."""
    return str((_PROC / "self/ns/pid").stat().st_ino)


def _born(pid: int) -> str:
    """When a process began, in the kernel's clock ticks; empty for one that is no more."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
