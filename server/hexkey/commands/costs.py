"""``hexkey costs``: what requests cost, and what no request paid for, from the usage ledger."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from hexkey import config
from hexkey.usage import focus, formats, period, report

Commands = argparse._SubParsersAction  # noqa: SLF001 - it has no other name

FORMATS = {
    "table": formats.table,
    "csv": formats.comma_separated,
    "json": formats.json,
    "focus": focus.export,
}


def add(commands: Commands[argparse.ArgumentParser], default: str) -> None:
    """Add the command; ``default`` is the configuration's file where none is named."""
    costs = commands.add_parser("costs", help="report what requests cost, from the usage ledger")
    costs.add_argument(
        "config", nargs="?", default=default, type=Path, help=f"YAML file (default: {default})"
    )
    costs.add_argument(
        "--by",
        type=_keys,
        default=("tenant", "task", "model"),
        metavar="KEY,…",
        help=f"what lines are told apart by, of {', '.join(report.KEYS)}; '' sums up all "
        "(default: tenant,task,model)",
    )
    costs.add_argument("--since", default="7d", help="7d, 24h, 2026-11-01 … (default: 7d)")
    costs.add_argument("--until", default="0d", help="the same; default: now")
    costs.add_argument("--format", choices=FORMATS, default="table")
    costs.set_defaults(run=_costs)


def _keys(text: str) -> tuple[str, ...]:
    keys = tuple(text.split(",")) if text else ()
    if not set(keys) <= set(report.KEYS) or len(set(keys)) < len(keys):
        raise argparse.ArgumentTypeError(f"name some of {', '.join(report.KEYS)}, each once")
    return keys


def _costs(options: argparse.Namespace) -> int:
    folder = config.load(options.config).usage.folder
    if not folder:
        raise config.ConfigError(str(options.config), ["usage.folder: is empty, so none is kept"])
    now = datetime.now(UTC)
    try:
        since_us, until_us = (
            period.micros(period.instant(one, now)) for one in (options.since, options.until)
        )
    except ValueError as error:
        raise config.ConfigError("the command line", [f"--since, --until: {error}"]) from None
    by = focus.BY if options.format == "focus" else options.by
    lines = report.totals(Path(folder).expanduser(), by, since_us=since_us, until_us=until_us)
    sys.stdout.write(FORMATS[options.format](lines, by))
    return 0
