"""The command line: ``hexkey serve``, ``hexkey check``, ``hexkey pull``, ``hexkey costs``."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import io
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hexkey import __version__, banner, config, coverage, logs
from hexkey.commands import costs, keys, remote, route
from hexkey.commands.remote import RemoteError
from hexkey.errors import ServeError
from hexkey.identity.keyfile import KeyFileError
from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hexkey.app import App
    from hexkey.config import Config

DEFAULT = "configs/quickstart.yaml"
KEYS = ("auto", "on", "off")
FAILED, BAD_CONFIG = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, 1 for a failure, 2 for a bad configuration."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except config.ConfigError as error:
        _complain(str(error))
        return BAD_CONFIG
    except (ModelError, ServeError, KeyFileError, RemoteError, OSError) as error:
        _complain(f"hexkey: {error}")
        return FAILED
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hexkey", description="Self-hosted inference server: say the task, not the model."
    )
    parser.add_argument("--version", action="version", version=f"hexkey {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="load the models and serve them over HTTP and gRPC")
    _config_argument(serve)
    serve.add_argument("--http", metavar="HOST:PORT", help="listen here instead of listen.http")
    serve.add_argument(
        "--grpc", metavar="HOST:PORT", help="listen here instead of listen.grpc; '' turns it off"
    )
    serve.add_argument(
        "--keys",
        choices=KEYS,
        help="whether callers need an API key, instead of access.keys (default: $HEXKEY_KEYS)",
    )
    serve.set_defaults(run=_serve)
    check = commands.add_parser("check", help="say everything that is wrong with a configuration")
    _config_argument(check)
    check.set_defaults(run=_check)
    pull = commands.add_parser("pull", help="fetch and verify the models of a configuration")
    _config_argument(pull)
    pull.set_defaults(run=_pull)
    keys.add(commands)
    remote.add(commands)
    costs.add(commands, DEFAULT)
    route.add(commands)
    return parser


def _config_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config", nargs="?", default=DEFAULT, type=Path, help=f"YAML file (default: {DEFAULT})"
    )


def _serve(options: argparse.Namespace) -> int:
    import uvloop

    from hexkey import app

    def read() -> Config:
        return _with_arguments(config.load(options.config), options)

    settings = read()
    writer = logs.configure(settings.log.level, json=settings.log.json)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Lines are written together: one that the terminal cannot show must not cost the others.
        sys.stdout.reconfigure(errors="backslashreplace")
    # A model says how its load goes whenever it is loaded, and may have nobody who listens.
    screen = logs.LineWriter(lambda: sys.stdout)
    begun = time.monotonic()

    def on_ready(running: App) -> None:
        running.metrics.log_lines_dropped.set_function(lambda: writer.dropped)
        screen(banner.text(running, time.monotonic() - begun))

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(app.serve(settings, screen, on_ready, read))
    finally:
        screen.close()
        writer.close()
    return 0


def _with_arguments(settings: Config, options: argparse.Namespace) -> Config:
    changes = {
        name: value for name in ("http", "grpc") if (value := getattr(options, name)) is not None
    }
    listen = dataclasses.replace(settings.listen, **changes)
    wrong = [
        f"--{name}: expected host:port, found {value!r}"
        for name, value in changes.items()
        if (value or name == "http") and config.split_address(value) is None
    ]
    if wrong:
        raise config.ConfigError("the command line", wrong)
    named = os.environ.get("HEXKEY_KEYS", "")
    if named and named not in KEYS:
        # What nobody understands must not let everybody in.
        said = f"HEXKEY_KEYS: expected one of {', '.join(KEYS)}, found {named!r}"
        raise config.ConfigError("the environment", [said])
    access = dataclasses.replace(
        settings.access, keys=options.keys or named or settings.access.keys
    )
    return dataclasses.replace(settings, listen=listen, access=access)


def _check(options: argparse.Namespace) -> int:
    settings = config.load(options.config, options=True)
    _say("\n".join([f"{options.config} is good.", *coverage.covered(settings)]))
    for line in (*coverage.uncovered(settings), *coverage.idle(settings)):
        _say(f"  note: {line}")
    return 0


def _pull(options: argparse.Namespace) -> int:
    from hexkey import provisioning

    folders = asyncio.run(provisioning.fetch_models(config.load(options.config), _say))
    for name, folder in folders.items():
        _say(f"{name}: {folder}")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _complain(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
