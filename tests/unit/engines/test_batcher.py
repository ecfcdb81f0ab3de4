"""The batcher: nothing lost, nothing doubled, within its bounds, and nobody waits for long."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hexkey.engines.batcher import WINDOW, Batcher

LENGTHS = st.integers(0, 40)


@dataclass(frozen=True)
class Row:
    number: int
    length: int


class Batching(RuleBasedStateMachine):
    """Any order of ``put``, ``drop`` and ``take``, against a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Row] = []
        self.ahead: dict[int, int] = {}
        self.made = 0

    @initialize(rows=st.integers(1, 5), tokens=st.integers(1, 100))
    def start(self, rows: int, tokens: int) -> None:
        self.rows, self.tokens = rows, tokens
        self.batcher: Batcher[Row] = Batcher(rows, tokens)

    @rule(lengths=st.lists(LENGTHS, min_size=1, max_size=WINDOW))
    def put(self, lengths: list[int]) -> None:
        for length in lengths:
            row = Row(self.made, length)
            self.made += 1
            self.ahead[row.number] = len(self.waiting)
            self.waiting.append(row)
            self.batcher.put(row)

    @rule(remainder=st.integers(0, 6))
    def drop(self, remainder: int) -> None:
        def unwanted(row: Row) -> bool:
            return row.number % 7 == remainder

        self.batcher.drop(unwanted)
        self.waiting = [row for row in self.waiting if not unwanted(row)]

    @rule()
    def take(self) -> None:
        batch = self.batcher.take()
        if not self.waiting:
            assert batch == []
            return
        assert batch[0] is self.waiting[0], "the longest-waiting row is first"
        assert len({row.number for row in batch}) == len(batch)
        assert set(batch) <= set(self.waiting[:WINDOW])
        assert len(batch) <= self.rows
        padded = max(row.length for row in batch) * len(batch)
        assert padded <= self.tokens or len(batch) == 1
        self.waiting = [row for row in self.waiting if row not in batch]
        for row in self.waiting:
            # Each batch takes its head, so a row waits at most for those that came before it.
            self.ahead[row.number] -= 1
            assert self.ahead[row.number] >= 0

    @invariant()
    def as_many_wait(self) -> None:
        assert len(getattr(self, "batcher", ())) == len(self.waiting)


TestBatching = Batching.TestCase


@given(st.lists(LENGTHS, max_size=3 * WINDOW), st.integers(1, 9), st.integers(1, 200))
def test_everything_comes_out_once(lengths: list[int], rows: int, tokens: int) -> None:
    batcher: Batcher[Row] = Batcher(rows, tokens)
    everything = [Row(number, length) for number, length in enumerate(lengths)]
    for row in everything:
        batcher.put(row)
    out = [row for _ in lengths for row in batcher.take()]
    assert sorted(out, key=lambda row: row.number) == everything
    assert batcher.take() == []


def test_similar_lengths_are_taken_together() -> None:
    batcher: Batcher[Row] = Batcher(max_rows=3, max_padded_tokens=1000)
    for number, length in enumerate([10, 90, 11, 80, 9, 100]):
        batcher.put(Row(number, length))
    assert [row.length for row in batcher.take()] == [10, 11, 9]
    assert [row.length for row in batcher.take()] == [90, 80, 100]


def test_a_row_larger_than_the_budget_goes_alone() -> None:
    batcher: Batcher[Row] = Batcher(max_rows=8, max_padded_tokens=10)
    for number, length in enumerate([50, 1, 2]):
        batcher.put(Row(number, length))
    assert [row.length for row in batcher.take()] == [50]
    assert [row.length for row in batcher.take()] == [1, 2]


@pytest.mark.parametrize("rows", [0, -1, 1])
def test_a_batch_has_one_row_where_no_more_are_allowed(rows: int) -> None:
    batcher: Batcher[Row] = Batcher(max_rows=rows)
    for number in range(3):
        batcher.put(Row(number, 1))
    assert [len(batcher.take()) for _ in range(4)] == [1, 1, 1, 0]


def test_rows_that_are_equal_are_not_the_same() -> None:
    batcher: Batcher[Row] = Batcher(max_rows=2)
    for _ in range(4):
        batcher.put(Row(1, 1))
    assert [len(batcher.take()) for _ in range(3)] == [2, 2, 0]
