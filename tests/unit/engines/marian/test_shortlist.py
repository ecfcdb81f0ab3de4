from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hexkey.engines.marian.shortlist import ALIGNMENT, Shortlist

from .files import write_shortlist

if TYPE_CHECKING:
    from pathlib import Path

SUGGESTIONS = [[0], [], [5, 90], [7, 5, 99], [30]]


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_shortlist(tmp_path / "lex.test.bin", 3, SUGGESTIONS)


def allowed(shortlist: Shortlist, batch: list[list[int]]) -> list[list[int]]:
    ids, mask = shortlist.candidates(batch)
    return [sorted({int(token) for token in ids[row]}) for row in mask]


def test_a_row_may_produce_the_frequent_and_the_suggested(good: Path) -> None:
    shortlist = Shortlist(good, vocabulary_size=100)
    assert allowed(shortlist, [[2, 3, 0]]) == [[0, 1, 2, 5, 7, 90, 99]]


def test_a_row_is_held_to_its_own_candidates(good: Path) -> None:
    shortlist = Shortlist(good, vocabulary_size=100)
    assert allowed(shortlist, [[2], [4], [1]]) == [[0, 1, 2, 5, 90], [0, 1, 2, 30], [0, 1, 2]]


def test_columns_ascend_and_fill_whole_registers(good: Path) -> None:
    ids, mask = Shortlist(good, vocabulary_size=100).candidates([[2], [3]])
    assert len(ids) % ALIGNMENT == 0
    assert (np.diff(ids) >= 0).all()
    assert mask.shape == (2, len(ids))
    assert ids[0] == 0


def test_a_source_token_past_the_table_suggests_nothing(good: Path) -> None:
    assert allowed(Shortlist(good, vocabulary_size=100), [[5, 1000]]) == [[0, 1, 2]]


def test_every_truncation_and_every_excess_is_refused(good: Path) -> None:
    whole = good.read_bytes()
    for data in [whole[:length] for length in range(len(whole))] + [whole + b"\0"]:
        good.write_bytes(data)
        with pytest.raises(ValueError, match=r"lex\.test\.bin: not a readable lexical shortlist"):
            Shortlist(good, vocabulary_size=100)


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (0, 1, "starts with 0x1"),
        (2, 0, "outside the vocabulary"),
        (2, 101, "outside the vocabulary"),
        (4, 2**61, "header promises"),
        (6, 9, "do not ascend"),
        (8, 2**63, "do not ascend"),
        (11, 2**40, "do not ascend"),
    ],
)
def test_a_word_of_nonsense_is_refused(good: Path, at: int, value: int, why: str) -> None:
    data = bytearray(good.read_bytes())
    struct.pack_into("<Q", data, 8 * at, value)
    good.write_bytes(data)
    with pytest.raises(ValueError, match=why):
        Shortlist(good, vocabulary_size=100)


def test_a_token_outside_the_vocabulary_is_refused(good: Path) -> None:
    with pytest.raises(ValueError, match="outside the vocabulary of 99"):
        Shortlist(good, vocabulary_size=99)
