"""What is learned of a model: from text to tokens, from tokens to seconds."""

from __future__ import annotations

import pytest

from hexkey.admission.estimate import Estimator
from hexkey.admission.ticket import Size, Ticket, measure
from hexkey.engines.sequence import characters
from hexkey.payloads import Autocomplete, Embed, Sampling, Translate
from hexkey.types import ContextFile, Usage
from tests.unit.requests import CHAT


def served(one: Estimator, seconds: float, tokens: int = 100, times: int = 100) -> None:
    for _ in range(times):
        one.served(Ticket("", tokens=tokens), seconds, Usage(30, 1, 0, 60))


def test_characters_become_tokens_by_a_ratio_that_is_learned() -> None:
    one = Estimator()
    assert one.input_tokens(Size(400, 7, 1, 0)) == 107
    served(one, 1.0)
    assert one.input_tokens(Size(400, 0, 1, 0)) == pytest.approx(200, abs=1)


def test_other_files_count_alike_before_and_after() -> None:
    """Else ten lines beside a library look like millions of tokens, and are refused for it."""
    files = (ContextFile("a.py", "x = 1\n" * 2000),)
    payload = Autocomplete(prefix="def f():", context=files, path="b.py")
    one, sent = Estimator(), measure(payload)
    for _ in range(100):
        one.served(Ticket("", tokens=3000), 1.0, Usage(3000, 1, 0, characters(payload)))
    assert one.input_tokens(sent) == pytest.approx(3000, rel=0.01)


def test_what_takes_longer_in_turn_is_expected_to_take_the_longer() -> None:
    one = Estimator()
    assert one.times(100) == (0.0, 0.0)
    served(one, 1.0)
    assert one.times(100) == pytest.approx((1.0, 1.0))
    for _ in range(100):
        served(one, 0.5, times=1)
        served(one, 1.5, times=1)
    mean, high = one.times(100)
    assert mean == pytest.approx(1.0, abs=0.1)
    assert 2.0 < high < 4.0


def test_sizes_are_told_apart_and_unknown_ones_told_by_their_neighbours() -> None:
    one = Estimator()
    served(one, 0.1, tokens=10)
    served(one, 5.0, tokens=1000)
    assert one.times(12)[0] == pytest.approx(0.1)
    assert one.times(900)[0] == pytest.approx(5.0)
    assert one.times(1)[0] == pytest.approx(0.1)
    assert one.times(1 << 30)[0] == pytest.approx(5.0)


def test_one_that_was_stopped_can_only_raise_the_estimate() -> None:
    one = Estimator()
    served(one, 1.0)
    one.overran(Ticket("", tokens=100), 0.5)
    assert one.times(100)[0] == pytest.approx(1.0)
    one.overran(Ticket("", tokens=100), 3.0)
    assert one.times(100)[0] > 1.1


def test_doubt_grows_only_while_nothing_is_served() -> None:
    one = Estimator()
    served(one, 1.0)
    refused = Ticket("", tokens=100)
    for _ in range(1000):
        one.doubt(refused)
        served(one, 1.0, times=1)
    assert one.times(100)[0] == pytest.approx(1.0)
    for _ in range(200):
        one.doubt(refused)
    assert one.times(100)[0] < 0.1
    assert one.mean_s < 0.1


def test_the_size_of_any_task() -> None:
    files = (ContextFile("ab", "cdef"),)
    asked = Autocomplete(prefix="1234", context=files, sampling=Sampling(max_tokens=8, n=2))
    size = measure(asked)
    assert (size.characters, size.tokens, size.outputs, size.output_tokens) == (10, 0, 2, 16)
    assert measure(Autocomplete(prefix="", tokens=(1, 2, 3))).tokens == 3
    assert measure(CHAT).characters >= 5
    texts = measure(Translate(texts=("ab", "c"), target="pt", source="en"))
    assert (texts.outputs, texts.output_tokens) == (2, 0)
    assert texts.characters >= 3
    assert measure(Embed(tokens=((1, 2), (3,)))).tokens == 3
