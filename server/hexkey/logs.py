"""Logging: one JSON object a line on stderr, by a thread the event loop never waits for.

A sink that blocks (a full pipe, a stopped terminal) costs log lines, which are counted, and never
a request.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections import deque
from typing import TYPE_CHECKING

import msgspec
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from structlog.typing import EventDict, Processor

WAITING_LINES = 10_000
FLUSH_S = 2.0
GATHER_S = 0.02
"""How long a line waits for others, which are then written with it."""


def _stderr() -> TextIO:
    return sys.stderr


class LineWriter:
    """Writes lines from a bounded queue; ``dropped`` counts those that could not be written."""

    def __init__(self, sink: Callable[[], TextIO] = _stderr) -> None:
        self.dropped = 0
        self._sink = sink
        self._lines: deque[str] = deque()
        self._due = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write, name="log-writer", daemon=True)
        self._thread.start()

    def __call__(self, line: str) -> None:
        """Queue one line."""
        if len(self._lines) >= WAITING_LINES:
            self.dropped += 1
            return
        self._lines.append(line)
        if not self._due.is_set():
            self._due.set()

    def close(self) -> None:
        """Write what waits, for at most ``FLUSH_S``."""
        self._closing.set()
        self._due.set()
        self._thread.join(FLUSH_S)

    def _write(self) -> None:
        while self._lines or not self._closing.is_set():
            self._due.wait()
            # Together, since to wake a thread for each line costs the loop more than the line.
            self._closing.wait(GATHER_S)
            self._due.clear()
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            try:
                sink = self._sink()
                sink.write("".join(f"{line}\n" for line in lines))
                sink.flush()
            except (OSError, ValueError):
                self.dropped += len(lines)


class _Logger:
    """What structlog calls with each rendered line."""

    def __init__(self, write: LineWriter) -> None:
        self.msg = self.debug = self.info = self.warning = self.error = self.critical = write
        self.exception = write


def configure(level: str, *, json: bool) -> LineWriter:
    """Set structlog up for the whole process; ``level`` is debug, info, warning or error."""
    writer = LineWriter()
    render: Processor = (
        structlog.processors.JSONRenderer(serializer=_dumps)
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    shape: list[Processor] = [render] if json else [_printable, render]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _where,
            *shape,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_names: _Logger(writer),
        cache_logger_on_first_use=True,
    )
    # Libraries' own warnings go the same way as ours, and nothing below a warning does.
    logging.basicConfig(level=logging.WARNING, handlers=[_Bridge(writer)], force=True)
    return writer


class _Bridge(logging.Handler):
    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        fields = {"event": record.getMessage(), "level": record.levelname.lower()}
        self._writer(_dumps({**fields, "logger": record.name}))


def _where(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Tell where an exception came from, not what it says: its text may hold a user's data."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["exception"] = type(error).__name__
        event["frames"] = [
            f"{frame.filename}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)
        ]
    return event


def _printable(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Write out control characters, which a terminal would obey; JSON does so by itself."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in value)
    return event


def _dumps(event: object, **_options: object) -> str:
    try:
        return msgspec.json.encode(event, enc_hook=str).decode()
    except UnicodeEncodeError:  # a lone surrogate; a log line is no reason to fail a request
        return json.dumps(event, default=str)
