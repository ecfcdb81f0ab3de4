"""An address in use is told with who has it, whatever that process is called."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from hexkey.wire.address import AddressInUse


def test_a_name_that_the_kernel_cut_inside_a_letter_is_told() -> None:
    name = Path("/proc/self/comm")
    before = name.read_bytes()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        try:
            name.write_bytes("ä".encode() * 8)
            said = str(AddressInUse(f"127.0.0.1:{taken.getsockname()[1]}"))
        finally:
            name.write_bytes(before)
    assert f"in use by process {os.getpid()} (äääääää\ufffd);" in said
