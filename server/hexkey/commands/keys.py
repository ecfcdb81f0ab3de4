"""``hexkey keys``: make, list and revoke API keys. A running server takes them in by itself."""

from __future__ import annotations

import argparse
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hexkey import config
from hexkey.identity import state
from hexkey.identity.keys import make

if TYPE_CHECKING:
    from hexkey.identity.keyfile import KeyFile

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - it has no other name

_UNITS = {"h": 3600, "d": 86400, "y": 365 * 86400}
_MAX_SECONDS = 100 * _UNITS["y"]


def add(commands: Commands) -> None:
    """Add the command and its own commands."""
    keys = commands.add_parser("keys", help="make, list and revoke API keys")
    actions = keys.add_subparsers(required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a key and print it, this once")
    create.add_argument("tenant", help="whose key it is; usage and cost are counted by it")
    create.add_argument(
        "--scope",
        action="append",
        default=[],
        metavar="SCOPE",
        help="what it is for: task:NAME or model:NAME (* for all), metrics, admin; may be given "
        "more than once (default: all tasks and models)",
    )
    create.add_argument(
        "--expires", type=_seconds, default=0, metavar="TIME", help="such as 12h, 90d or 1y"
    )
    create.set_defaults(run=_create)
    shown = actions.add_parser("list", help="list the keys: names and scopes, never a key")
    shown.set_defaults(run=_list)
    revoke = actions.add_parser("revoke", help="end a key")
    revoke.add_argument("id", help="the 8 characters after hk_, as `hexkey keys list` shows them")
    revoke.set_defaults(run=_revoke)
    for action in (create, shown, revoke):
        action.add_argument(
            "--config", type=Path, metavar="FILE", help="configuration that names access.file"
        )


def _create(options: argparse.Namespace) -> int:
    file, now = _file(options), int(time.time())
    expires = now + options.expires if options.expires else 0
    try:
        key, record = make(
            file.pepper(), options.tenant, tuple(options.scope), now=now, expires=expires
        )
    except ValueError as error:
        sys.stderr.write(f"hexkey keys create: {error}\n")
        return 2
    file.change(lambda keys: [*keys, record])
    sys.stderr.write(f"The key of {record.tenant}; it is shown this once and kept nowhere:\n")
    sys.stdout.write(f"{key}\n")
    return 0


def _list(options: argparse.Namespace) -> int:
    records = _file(options).read()
    sys.stdout.write(f"{'ID':<10}{'TENANT':<20}{'MADE':<12}{'EXPIRES':<12}SCOPES\n")
    for one in records:
        expires = _day(one.expires) if one.expires else "never"
        scopes = " ".join(one.scopes) or "all tasks and models"
        sys.stdout.write(
            f"{one.id:<10}{one.tenant:<20}{_day(one.created):<12}{expires:<12}{scopes}\n"
        )
    return 0


def _revoke(options: argparse.Namespace) -> int:
    file = _file(options)
    found = [one for one in file.read() if one.id == options.id]
    if not found:
        sys.stderr.write(f"there is no key {options.id!r} in {file.path}; see: hexkey keys list\n")
        return 1
    file.change(lambda keys: [one for one in keys if one.id != options.id])
    sys.stderr.write(f"The key {options.id} of {found[0].tenant} is revoked.\n")
    if not file.read():
        sys.stderr.write("It was the last key: nobody may call until you make another.\n")
    return 0


def _file(options: argparse.Namespace) -> KeyFile:
    named = config.load(options.config).access.file if options.config else ""
    return state.key_file(named)


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([1-9]\d{0,5})([hdy])", text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < seconds <= _MAX_SECONDS:
        raise argparse.ArgumentTypeError(
            f"expected 12h, 90d, 1y or so, 100y at most; found {text!r}"
        )
    return seconds


def _day(seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        return "never"  # beyond any calendar
