"""Logs: one event is one line whatever it holds, and a sink that blocks costs lines, not time."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hexkey import logs

NASTY = [
    'a\nb\r\n{"event": "forged"}',
    "\x1b[2J\x1b[31mred\x07",
    "\x9b31m\x85\u2028\u2029\x00\x7f",
    "\ud800 alone",
    "é 日本 😀",
]


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def written(
    monkeypatch: pytest.MonkeyPatch, write: Callable[[], object], *, as_json: bool, level: str
) -> list[str]:
    sink = io.StringIO()
    monkeypatch.setattr(sys, "stderr", sink)
    writer = logs.configure(level, json=as_json)
    write()
    writer.close()
    assert writer.dropped == 0
    assert sink.getvalue().endswith("\n") or not sink.getvalue()
    return sink.getvalue().split("\n")[:-1]


@pytest.mark.parametrize("text", NASTY)
def test_a_json_line_is_one_record_and_gives_the_value_back(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    def write() -> None:
        structlog.get_logger().info(text, value=text, key=[text])

    (line,) = written(monkeypatch, write, as_json=True, level="info")
    record = json.loads(line)
    assert (record["event"], record["value"], record["key"]) == (text, text, [text])
    assert record["level"] == "info"
    assert record["timestamp"].endswith("Z")
    assert "\x1b" not in line
    assert "\r" not in line


@pytest.mark.parametrize("text", NASTY)
def test_a_line_for_people_cannot_drive_their_terminal(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    def write() -> None:
        structlog.get_logger().warning(text, value=text)

    lines = written(monkeypatch, write, as_json=False, level="info")
    assert len(lines) == 1
    assert lines[0].isprintable()


@pytest.mark.parametrize("as_json", [False, True])
def test_an_exception_is_told_by_its_place_and_not_by_its_text(
    monkeypatch: pytest.MonkeyPatch, *, as_json: bool
) -> None:
    def write() -> None:
        try:
            raise ValueError("canary of a user's text")
        except ValueError:
            structlog.get_logger().exception("failed")

    text = "".join(written(monkeypatch, write, as_json=as_json, level="info"))
    assert "ValueError" in text
    assert "test_logs.py" in text
    assert "canary" not in text


class Odd:
    def __str__(self) -> str:
        return "odd"


def test_any_value_can_be_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    def write() -> None:
        structlog.get_logger().info("x", a=Odd(), b={1: Odd()}, c=float("nan"), d=1 << 70, e=b"x")

    (line,) = written(monkeypatch, write, as_json=True, level="info")
    assert json.loads(line)["a"] == "odd"


@given(st.dictionaries(st.from_regex("[a-z]{2,5}_", fullmatch=True), st.text() | st.floats()))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_any_text_is_one_json_line(fields: dict[str, object]) -> None:
    line = logs._dumps(fields)
    assert "\n" not in line
    assert set(json.loads(line)) == set(fields)


def test_below_the_level_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def write() -> None:
        log = structlog.get_logger()
        log.debug("a")
        log.info("b")
        log.warning("c")
        logging.getLogger("library").info("d")
        logging.getLogger("library").warning("e\nf %s", "g")

    lines = written(monkeypatch, write, as_json=True, level="warning")
    records = [json.loads(line) for line in lines]
    assert [record["event"] for record in records] == ["c", "e\nf g"]
    assert records[1]["logger"] == "library"


class Stuck(io.StringIO):
    """A terminal that was stopped: a write returns once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.writing = threading.Event()
        self.go_on = threading.Event()

    def write(self, text: str) -> int:
        self.writing.set()
        self.go_on.wait(30)
        return super().write(text)


def test_a_sink_that_blocks_costs_lines_that_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "WAITING_LINES", 10)
    monkeypatch.setattr(logs, "FLUSH_S", 0.05)
    sink = Stuck()
    monkeypatch.setattr(sys, "stderr", sink)
    writer = logs.LineWriter()
    writer("first")
    assert sink.writing.wait(10)
    begun = time.perf_counter()
    for number in range(100):
        writer(str(number))
    assert time.perf_counter() - begun < 5
    assert writer.dropped == 90
    begun = time.perf_counter()
    writer.close()
    assert time.perf_counter() - begun < 5
    sink.go_on.set()
    writer._thread.join(10)
    assert sink.getvalue().split() == ["first", *(str(number) for number in range(10))]


class Broken(io.StringIO):
    """A pipe whose reader left."""

    def write(self, text: str) -> int:  # noqa: ARG002 - the signature of a file
        raise BrokenPipeError


def test_a_sink_that_fails_does_not_end_the_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Broken())
    writer = logs.LineWriter()
    writer("a")
    writer("b")
    writer.close()
    assert writer.dropped == 2
    assert not writer._thread.is_alive()
