"""Commands that ask a running server: models, load, unload, reload.

On the machine and as the user that the server runs as, the operator's key of its run is found by
itself; elsewhere ``--key`` or ``$HEXKEY_API_KEY`` names one with the scope ``admin``.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import msgspec

from hexkey.identity import state
from hexkey.identity.access import is_loopback

if TYPE_CHECKING:
    import argparse

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - its only name

DEFAULT = "http://127.0.0.1:8080"
TIMEOUT_S = 600.0


class RemoteError(Exception):
    """A server that cannot be asked, or that refused; the message says what to do."""


def add(commands: Commands) -> None:
    """Add the commands."""
    for name, run, text, takes_model in (
        ("models", _models, "list a running server's models and their states", False),
        ("load", _load, "load a model of a running server", True),
        ("unload", _unload, "take a model of a running server out of memory", True),
        ("reload", _reload, "have a running server take in its changed configuration", False),
    ):
        command = commands.add_parser(
            name, help=text, description=(__doc__ or "").replace("``", "")
        )
        if takes_model:
            command.add_argument("model", help="the model's name")
        add_server(command)
        command.set_defaults(run=run)


def add_server(command: argparse.ArgumentParser) -> None:
    """Add the arguments that say which server is asked, and by whom."""
    command.add_argument(
        "--server", default=DEFAULT, metavar="URL", help=f"where it listens (default: {DEFAULT})"
    )
    command.add_argument("--key", help="API key (default: $HEXKEY_API_KEY, or the operator's)")


def ask(options: argparse.Namespace, path: str, body: object = None) -> Any:
    """Return what a server answers; ``RemoteError`` tells what it says where it refuses."""
    data = None if body is None else msgspec.json.encode(body)
    host, port = _address(options.server)
    request = urllib.request.Request(options.server.rstrip("/") + path, data=data)  # noqa: S310
    request.add_header("content-type", "application/json")
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if is_loopback(host):
        handlers.append(urllib.request.ProxyHandler({}))
    if key := _key(options, host, port):
        request.add_header("authorization", f"Bearer {key}")
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT_S) as answer:
            found = msgspec.json.decode(answer.read())
    except urllib.error.HTTPError as error:
        raise RemoteError(_said(error)) from None
    except msgspec.DecodeError:
        found = None
    except OSError as error:
        why = getattr(error, "reason", error)
        raise RemoteError(f"no server answers at {options.server}: {why}") from None
    if not isinstance(found, dict):
        raise RemoteError(f"what answers at {options.server} is no hexkey")
    return found


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nobody: the key is for the server that was named."""

    def redirect_request(self, *_args: object) -> None:
        """Refuse."""


def _address(server: str) -> tuple[str, int]:
    try:
        url = urllib.parse.urlsplit(server)
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
    if not host or url.scheme not in {"http", "https"}:
        raise RemoteError(f"--server: expected http://host:port, found {server!r}")
    return host, port or 0


def _key(options: argparse.Namespace, host: str, port: int) -> str:
    named = options.key or os.environ.get("HEXKEY_API_KEY", "")
    # The operator's key is of this machine's server: another machine is not told it.
    if named or not is_loopback(host):
        return str(named)
    try:
        return state.admin_key_path(port).read_text()
    except OSError:
        return ""


def _said(error: urllib.error.HTTPError) -> str:
    try:
        return str(msgspec.json.decode(error.read())["error"]["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"the server answered {error.code}"


def _models(options: argparse.Namespace) -> int:
    rows = [("MODEL", "STATE", "TASKS", "PAIRS")]
    for one in ask(options, "/v1/models")["data"]:
        pairs = " ".join(f"{pair['source']}-{pair['target']}" for pair in one["pairs"])
        state = "failing" if one["state"] == "ready" and one.get("failing") else one["state"]
        rows.append((one["id"], state, " ".join(one["tasks"]), pairs))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
    return 0


def _load(options: argparse.Namespace) -> int:
    ask(options, "/v1/admin/load", {"model": options.model})
    return _told(f"{options.model} serves.")


def _unload(options: argparse.Namespace) -> int:
    ask(options, "/v1/admin/unload", {"model": options.model})
    return _told(f"{options.model} is unloaded; a request loads it again.")


def _reload(options: argparse.Namespace) -> int:
    answer = ask(options, "/v1/admin/reload", {})
    _told(f"Configuration {answer['generation']} is served: {', '.join(answer['models'])}.")
    if answer["restart_needed"]:
        _told(f"These changed too and wait for a restart: {', '.join(answer['restart_needed'])}.")
    return 0


def _told(text: str) -> int:
    sys.stdout.write(text + "\n")
    return 0
