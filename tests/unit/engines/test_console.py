"""What a host prints becomes lines of our log, all of it, and in any form."""

from __future__ import annotations

import os

import pytest
from structlog.testing import capture_logs

from hexkey.engines.console import MOST_BYTES, Console
from tests.waiting import soon


def texts(entries: list[dict[str, str]]) -> list[str]:
    assert all(one["model"] == "m" for one in entries)
    return [one["text"] for one in entries]


async def test_lines_come_as_they_are_printed_and_the_last_words_at_the_end() -> None:
    with capture_logs() as logs:
        console = Console("m")
        os.write(console.write_fd, b"one\ntwo\n\nth")
        await soon(lambda: len(logs) == 2)
        os.write(console.write_fd, b"ree\nand \xff")
        await soon(lambda: len(logs) == 3)
        console.started()
        console.close()
        console.close()
    assert texts(logs) == ["one", "two", "three", "and \ufffd"]  # type: ignore[arg-type]


async def test_it_ends_by_itself_when_nobody_prints_any_more() -> None:
    with capture_logs() as logs:
        console = Console("m")
        os.write(console.write_fd, b"bye")
        console.started()
        await soon(lambda: bool(logs))
        console.close()
    assert texts(logs) == ["bye"]  # type: ignore[arg-type]


async def test_a_line_without_end_comes_in_parts() -> None:
    with capture_logs() as logs:
        console = Console("m")
        for _ in range(8):
            os.write(console.write_fd, b"x" * MOST_BYTES)
        console.started()
        console.close()
    assert 4 <= len(logs) <= 8
    assert "".join(texts(logs)) == "x" * MOST_BYTES * 8  # type: ignore[arg-type]


async def test_a_close_ends_though_somebody_prints_on() -> None:
    console = Console("m")
    other = os.dup(console.write_fd)
    console.started()
    console.close()
    with pytest.raises(BrokenPipeError):
        os.write(other, b"x")
    os.close(other)
