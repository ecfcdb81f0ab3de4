"""Where a wire listens, and the error that tells that it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

from hexkey.config import split_address

UNIX = "unix:"
_LISTENS = "0A"  # in /proc/net/tcp


class AddressInUse(OSError):  # noqa: N818 - named for what is the case
    """Another process, or another server in this one, listens at the address."""

    def __init__(self, address: str) -> None:
        super().__init__(
            errno.EADDRINUSE,
            f"the address is in use by {_holder(address)}; stop it or choose another: {address}",
        )

    def __str__(self) -> str:
        # Without the errno that OSError puts first: this is told to people.
        return str(self.strerror)


async def ensure_free(address: str) -> None:
    """Return if ``address`` (``host:port`` or ``unix:PATH``) can be listened at.

    Raises ``AddressInUse``, ``ValueError`` for what is no address, or the ``OSError`` of a host
    that is not ours. A name is tried with every address it stands for, since a server that
    listens at only some of them would look started and be unreachable for half of its callers.
    """
    try:
        if address.startswith(UNIX):
            _try_path(address.removeprefix(UNIX))
        else:
            await _try_port(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(address) from None
        raise OSError(f"cannot listen at {address}: {error.strerror}") from None


async def _try_port(address: str) -> None:
    split = split_address(address)
    if split is None:
        raise ValueError(f"{address!r} is neither host:port nor unix:PATH")
    host, port = split
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, where in found:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(where)
            probe.listen()


def _try_path(path: str) -> None:
    # gRPC unlinks a socket that it finds, whether or not somebody listens at it.
    if not path or not Path(path).parent.is_dir():
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    if not Path(path).exists():
        return
    if not stat.S_ISSOCK(Path(path).stat().st_mode):
        raise OSError(errno.EEXIST, "it exists and is not a socket", path)
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(path) == 0:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)


def _holder(address: str) -> str:
    """Return who listens at a port; another user's processes cannot be looked into."""
    split = split_address(address)
    sockets = _listening(split[1]) if split is not None else set()
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        with contextlib.suppress(OSError):  # it ended, or is not ours
            if any(str(one.readlink()) in sockets for one in (process / "fd").iterdir()):
                # The kernel cuts a name after 15 bytes, also inside a letter.
                name = (process / "comm").read_text(errors="replace").strip()
                return f"process {process.name} ({name})"
    return "another process"


def _listening(port: int) -> set[str]:
    """Return what listens at a port, as the links in /proc/PID/fd name it."""
    sockets: set[str] = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    return sockets
