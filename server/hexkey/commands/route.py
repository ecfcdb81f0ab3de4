"""``hexkey route``: which model of a running server would serve a request, and why."""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING, Any

from hexkey.commands.remote import RemoteError, add_server, ask
from hexkey.types import Task

if TYPE_CHECKING:
    import argparse

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - its only name

_SAMPLE = "Hello."


def add(commands: Commands) -> None:
    """Add the command."""
    route = commands.add_parser(
        "route",
        help="show which model of a running server would serve a request, and why",
        description=(__doc__ or "").replace("``", ""),
    )
    route.add_argument("task", choices=[*Task])
    route.add_argument("text", nargs="?", default=_SAMPLE, help="what the request asks of")
    route.add_argument("--source", help="language of the text; found out where left out")
    route.add_argument("--target", help="language to translate to")
    route.add_argument("--model", help="name of a model")
    route.add_argument("--max-cost", metavar="NUMBER", help="in the server's currency")
    route.add_argument("--max-latency-ms", type=float, metavar="NUMBER")
    route.add_argument(
        "--label", action="append", default=[], metavar="NAME=VALUE", help="may be given again"
    )
    route.add_argument("--json", action="store_true", help="print the server's answer as it is")
    add_server(route)
    route.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    answer = ask(options, "/v1/route", _body(options))
    lines = [json.dumps(answer, indent=2)] if options.json else [*_lines(answer)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if answer.get("refusal") else 0


def _body(options: argparse.Namespace) -> dict[str, Any]:
    body = {"task": options.task, "model": options.model, **_asked(Task(options.task), options)}
    labels = {}
    for one in options.label:
        name, equals, value = one.partition("=")
        if not equals:
            raise RemoteError(f"--label: expected NAME=VALUE, found {one!r}")
        labels[name] = value
    body["constraints"] = {
        "max_cost": options.max_cost,
        "max_latency_ms": options.max_latency_ms,
        "labels": labels,
    }
    return body


def _asked(task: Task, options: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of a task's body that make it a request; nothing of it is computed."""
    text = options.text
    match task:
        case Task.AUTOCOMPLETE:
            return {"prefix": text}
        case Task.CHAT:
            return {"messages": [{"role": "user", "content": text}]}
        case Task.TRANSLATE:
            return {"text": text, "source": options.source, "target": options.target or ""}
        case Task.RERANK:
            return {"query": text, "documents": [text]}
        case Task.TRANSCRIBE:
            return {"audio": base64.b64encode(text.encode()).decode(), "language": options.source}
        case Task.EMBED | Task.CLASSIFY | Task.SUMMARIZE:
            return {"text": text}


def _lines(answer: dict[str, Any]) -> list[str]:
    lines = []
    if found := answer.get("detected_source"):
        lines.append(f"source language found: {found}")
    if refusal := answer.get("refusal"):
        lines.append(refusal)
    for number, route in enumerate(answer["routes"], 1):
        legs = ", then ".join(_leg(leg) for leg in route["legs"])
        why = f" ({answer['reason']})" if number == 1 else ""
        lines.append(f"{number}. {legs}{why}{_expected(route['expected'])}")
    rows = [("MODEL", "KEPT", "AT WORK", "MEASURED", "WHY")]
    for one in answer["verdicts"]:
        at_work, measured = f"{one['in_flight']} ({one['waiting']} wait)", str(one["measured"])
        if one["measured"] is None:
            at_work = measured = "-"  # a server that does not tell costs does not tell this
        why = one["reason"] + _expected(one["expected"])
        rows.append((one["model"], "yes" if one["kept"] else "no", at_work, measured, why))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join(cells).rstrip())
    return lines


def _leg(leg: dict[str, Any]) -> str:
    pair = leg["pair"]
    return f"{pair['source']}-{pair['target']} by {leg['model']}" if pair else str(leg["model"])


def _expected(of: dict[str, float] | None) -> str:
    if of is None:
        return ""
    return f"; expected: cost {of['cost']:.3g}, latency {of['latency_ms']:.1f} ms"
