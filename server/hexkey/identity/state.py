"""Where a server keeps what outlives it: keys, the operator's key of this run, glossaries."""

from __future__ import annotations

import os
from pathlib import Path

from hexkey.identity.keyfile import KeyFile


def folder() -> Path:
    """Return ``$HEXKEY_STATE``, or the folder for such things in the user's home."""
    named = os.environ.get("HEXKEY_STATE")
    if named:
        return Path(named)
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "hexkey"


def key_file(path: str = "") -> KeyFile:
    """Return the file of keys at ``path``, or where it is by default."""
    return KeyFile(Path(path).expanduser() if path else folder() / "keys.json")


def admin_key_path(port: int) -> Path:
    """Return where the server that listens at ``port`` writes the operator's key of its run."""
    return folder() / f"admin-{port}.key"
