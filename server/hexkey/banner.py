"""What a person reads when the server is up: what is served, where, and what to try."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hexkey import __version__, coverage
from hexkey.routing import ANY
from hexkey.types import Task

if TYPE_CHECKING:
    from hexkey.app import App
    from hexkey.config import Config

_BODY: dict[Task, dict[str, object]] = {
    Task.AUTOCOMPLETE: {"prefix": "The capital of France is", "stop_rule": "sentence"},
    # Greedy: at OpenAI's default of 1 a very small model's first answer would be nonsense.
    Task.CHAT: {
        "messages": [{"role": "user", "content": "Name three colours."}],
        "temperature": 0,
    },
    Task.EMBED: {"text": ["The weather is nice today."]},
    Task.RERANK: {
        "query": "Will it rain?",
        "documents": ["The sky is clear.", "Bread is baked in an oven."],
    },
    Task.CLASSIFY: {"text": "The match ended in a draw.", "labels": ["sport", "politics"]},
    Task.SUMMARIZE: {
        "text": "It rained all week, so the match was moved to Sunday.",
        "length": "short",
    },
}
_PATH = {task: f"/v1/{task}" for task in Task} | {Task.CHAT: "/v1/chat/completions"}


def text(app: App, took_s: float) -> str:
    """Return the banner of a running server; ``took_s`` is the time it took to be ready."""
    host = _reachable(app.config.listen.http)
    lines = [
        "",
        f"hexkey {__version__} is ready after {took_s:.1f} s",
        "",
        f"  HTTP  http://{host}:{app.http_port}   (docs: /openapi.json, metrics: /metrics)",
        f"  page  http://{host}:{app.http_port}/dashboard",
    ]
    if app.grpc_port:
        grpc_host = _reachable(app.config.listen.grpc)
        lines.append(f"  gRPC  {grpc_host}:{app.grpc_port}   (reflection and health are on)")
    lines += ["", *coverage.covered(app.config), "", "Try:"]
    tasks = [task for task in Task if any(task in model.tasks for model in app.config.models)]
    if Task.TRANSCRIBE in tasks:
        lines.append(
            f"  curl http://{host}:{app.http_port}/v1/audio/transcriptions -F file=@speech.wav"
        )
    for task in tasks:
        if task is Task.TRANSCRIBE:
            continue
        lines.append(
            f"  curl http://{host}:{app.http_port}{_PATH[task]} "
            f"-H 'content-type: application/json' -d '{json.dumps(_body(app.config, task))}'"
        )
    if app.grpc_port and Task.TRANSLATE in tasks:
        body = _body(app.config, Task.TRANSLATE)
        body["text"] = [body["text"]]
        lines.append(
            f"  grpcurl -plaintext -d '{json.dumps(body)}' "
            f"{grpc_host}:{app.grpc_port} hexkey.v1.InferenceService/Translate"
        )
    return "\n".join([*lines, ""])


def _body(config: Config, task: Task) -> dict[str, object]:
    if task is not Task.TRANSLATE:
        return _BODY[task]
    model = next(model for model in config.models if task in model.tasks)
    pair = next(model.candidate().directions())
    sample = {"en": "The weather is nice today.", "pt": "O tempo está bom hoje."}
    return {
        "text": sample.get(pair.source, "Hello."),
        "source": coverage.SOME if pair.source == ANY else pair.source,
        "target": coverage.SOME if pair.target == ANY else pair.target,
    }


def _reachable(address: str) -> str:
    host = address.rpartition(":")[0]
    return "127.0.0.1" if host in {"0.0.0.0", "[::]"} else host  # noqa: S104 - shown, not bound
