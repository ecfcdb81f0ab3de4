"""The translation engine with a scripted translator: it settles once, fails alone and is fair."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hexkey.engines.translation import AHEAD, BatchLimits, Outcome, TranslationEngine, plan
from hexkey.errors import Code, ServeError
from hexkey.types import (
    Delta,
    Failure,
    Finish,
    Format,
    HostEvent,
    ModelInfo,
    Translate,
    Usage,
)
from tests.unit.requests import CHAT

BOOK = "This is one sentence of a book. " * 400


class Scripted:
    """Translates words to capitals; certain words make it fail, and it keeps its batches."""

    def __init__(self) -> None:
        self.batches: list[list[list[str]]] = []

    def knows(self, text: str) -> bool:
        return "ü" not in text

    def encode(self, sentence: str, payload: Translate) -> list[str]:
        assert payload.target == "pt"
        if "unencodable" in sentence:
            raise ValueError(sentence)
        return sentence.split(" ")

    def translate(self, rows: Sequence[list[str]], payloads: Sequence[Translate]) -> list[Outcome]:
        assert len(rows) == len(payloads) > 0
        self.batches.append([list(row) for row in rows])
        if any("raise" in token for row in rows for token in row):
            raise RuntimeError("a canary of the library")
        return [
            Outcome("" if "vanish" in row[0] else " ".join(row).upper(), len(row)) for row in rows
        ]


@pytest.mark.parametrize(
    ("source", "target", "asked"),
    [
        ("en", "pt", "Press it"),
        ("en", "tr", "PRESS IT"),
        ("tr-TR", "en", "PRESS IT"),
        ("az_Latn", "en", "PRESS IT"),
    ],
)
@pytest.mark.parametrize("form", [Format.TEXT, Format.HTML])
def test_capitals_go_as_they_are_where_an_i_keeps_its_dot(
    source: str, target: str, asked: str, form: Format
) -> None:
    payload = Translate(texts=("PRESS IT",), source=source, target=target, format=form)
    assert plan("PRESS IT", payload).pending() == [(0, asked)]


class Drive:
    """An engine, its translator, and all events by request."""

    def __init__(self, rows: int = 8, padded_tokens: int = 2048) -> None:
        self.translator = Scripted()
        self.engine: TranslationEngine[str] = TranslationEngine(
            self.translator, ModelInfo(context_tokens=100), BatchLimits(rows, padded_tokens)
        )
        self.events: dict[int, list[HostEvent]] = {}
        self.computed = 0
        self.steps = 0

    def add(self, request_id: int, *texts: str) -> None:
        self.engine.add(request_id, Translate(texts=texts, source="en", target="pt"))

    def step(self) -> None:
        report = self.engine.step()
        self.steps += 1
        assert report.begin_ns <= report.done_ns
        self.computed += sum(tokens for _, tokens, _ in report.computed)
        assert len({request_id for request_id, _ in report.events}) == len(report.events)
        for request_id, events in report.events:
            assert events
            assert not self.settled(request_id), "events after the end"
            self.events.setdefault(request_id, []).extend(events)

    def run(self, most: int = 2000) -> None:
        """Step until nothing runs."""
        while self.engine.running:
            self.step()
            assert self.steps < most, "the engine does not come to an end"

    def settled(self, request_id: int) -> bool:
        return any(isinstance(e, Usage | Failure) for e in self.events.get(request_id, []))

    def text(self, request_id: int, index: int = 0) -> str:
        events = self.events[request_id]
        return "".join(e.text for e in events if isinstance(e, Delta) and e.index == index)

    def usage(self, request_id: int) -> Usage:
        last = self.events[request_id][-1]
        assert isinstance(last, Usage)
        return last


def test_a_text_comes_back_in_order_with_what_is_between_its_sentences() -> None:
    drive = Drive(rows=2)
    drive.add(1, "  One two.  Three four!\n\nFive six?\n")
    drive.run()
    assert drive.text(1) == "  ONE TWO.  THREE FOUR!\n\nFIVE SIX?\n"
    assert drive.usage(1) == Usage(6, 6, 0, 35)
    assert drive.computed == 12


def test_every_text_finishes_once_and_the_usage_is_last() -> None:
    drive = Drive()
    drive.add(1, "One.", "", " ", "Two.", "\n")
    drive.run()
    events = drive.events[1]
    assert [drive.text(1, index) for index in range(5)] == ["ONE.", "", " ", "TWO.", "\n"]
    assert sorted(e.index for e in events if isinstance(e, Finish)) == [0, 1, 2, 3, 4]
    assert [e for e in events if isinstance(e, Usage | Failure)] == [events[-1]]
    for index in range(5):
        own = [e for e in events if isinstance(e, Delta | Finish) and e.index == index]
        assert isinstance(own[-1], Finish), "nothing of a text comes after its end"


@pytest.mark.parametrize("texts", [("",), ("", ""), (" \n",), ("***", "—"), ("",) * 50])
def test_what_holds_no_words_is_answered_at_the_next_step(texts: tuple[str, ...]) -> None:
    drive = Drive()
    drive.add(1, *texts)
    assert drive.engine.running == 1
    drive.run(most=10)
    assert [drive.text(1, index) for index in range(len(texts))] == list(texts)
    assert drive.usage(1).input_characters == sum(map(len, texts))


def test_a_sentence_that_translates_to_nothing_stays_as_it_was() -> None:
    drive = Drive()
    drive.add(1, "vanish now. Stay here.")
    drive.run()
    assert drive.text(1) == "vanish now. STAY HERE."
    deltas = [event for event in drive.events[1] if isinstance(event, Delta)]
    assert drive.usage(1).output_tokens == sum(delta.tokens for delta in deltas)


def test_a_row_that_fails_fails_its_request_alone() -> None:
    drive = Drive()
    drive.add(1, "Good morning.")
    drive.add(2, "Please raise this. And more. And more.")
    drive.add(3, "Good night.")
    drive.run()
    assert drive.text(1) == "GOOD MORNING."
    assert drive.text(3) == "GOOD NIGHT."
    (failure,) = [e for e in drive.events[2] if isinstance(e, Failure)]
    assert drive.events[2][-1] is failure
    assert failure.code is Code.INTERNAL
    assert "canary" not in failure.message
    assert len(drive.engine._batcher) == 0


def test_two_rows_of_one_request_that_fail_settle_it_once() -> None:
    drive = Drive()
    drive.add(1, "First raise. Second raise.")
    drive.run()
    assert [type(event) for event in drive.events[1]] == [Failure]


def test_what_cannot_be_encoded_is_refused_and_leaves_nothing() -> None:
    drive = Drive()
    drive.add(1, "Good morning.")
    with pytest.raises(ValueError, match="unencodable"):
        drive.add(2, "Fine. Here comes an unencodable one.")
    assert drive.engine.running == 1
    drive.run()
    assert drive.text(1) == "GOOD MORNING."
    assert 2 not in drive.events


def test_what_cannot_be_encoded_later_fails_its_request_alone() -> None:
    drive = Drive(rows=2)
    drive.add(1, "Word here. " * (2 * AHEAD) + "It is unencodable.")
    drive.add(2, "Word there. " * (2 * AHEAD))
    drive.run()
    assert isinstance(drive.events[1][-1], Failure)
    assert drive.text(2) == "WORD THERE. " * (2 * AHEAD)


def test_another_task_is_refused() -> None:
    drive = Drive()
    with pytest.raises(ServeError) as caught:
        drive.engine.add(1, CHAT)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert drive.engine.running == 0


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_a_cancel_ends_the_work_and_disturbs_nobody(steps: int) -> None:
    drive = Drive()
    drive.add(1, BOOK)
    drive.add(2, "Good morning.")
    for _ in range(steps):
        drive.step()
    drive.engine.cancel(1)
    drive.engine.cancel(1)
    drive.engine.cancel(99)
    before = len(drive.translator.batches)
    drive.run(most=20)
    assert not drive.settled(1)
    assert drive.text(2) == "GOOD MORNING."
    assert len(drive.translator.batches) <= before + 1
    assert len(drive.engine._batcher) == 0


def test_a_cancelled_text_without_words_says_nothing_more() -> None:
    drive = Drive()
    drive.add(1, "")
    drive.engine.cancel(1)
    drive.step()
    assert drive.events == {}


@pytest.mark.parametrize("books", [1, 4])
def test_a_word_does_not_wait_for_a_book(books: int) -> None:
    drive = Drive(rows=8)
    for number in range(books):
        drive.add(number, BOOK)
    drive.step()
    drive.add(99, "Hi.")
    begun = drive.steps
    while not drive.settled(99):
        drive.step()
    # At worst each batch before it holds one sentence; with equal ones it is rows at a time.
    assert drive.steps - begun <= books * AHEAD // 8 + 1
    drive.run()
    assert all(drive.text(number) == BOOK.upper() for number in range(books))


def test_a_word_waits_a_bounded_time_in_the_worst_of_batches() -> None:
    drive = Drive(rows=8, padded_tokens=1)
    drive.add(1, BOOK)
    drive.step()
    drive.add(2, "Hi.")
    begun = drive.steps
    while not drive.settled(2):
        drive.step()
    assert drive.steps - begun <= AHEAD + 1


def test_a_request_has_few_sentences_waiting() -> None:
    drive = Drive(rows=3)
    drive.add(1, BOOK, BOOK)
    for _ in range(50):
        assert len(drive.engine._batcher) <= AHEAD
        drive.step()


def test_many_texts_are_answered_in_reasonable_work() -> None:
    drive = Drive()
    texts = [f"Text number {number}." for number in range(500)]
    drive.add(1, *texts)
    drive.run()
    assert [drive.text(1, index) for index in range(500)] == [text.upper() for text in texts]
    assert drive.steps == -(-500 // 8)


WORDS = st.lists(
    st.sampled_from(["One two.", "Three!", "four", " ", "\n\n", "", "***"]), max_size=6
)
TEXTS = st.lists(WORDS.map(" ".join), min_size=1, max_size=4)


@given(st.lists(TEXTS, min_size=1, max_size=5), st.integers(1, 9), st.integers(1, 30))
def test_the_answer_does_not_depend_on_the_company(
    requests: list[list[str]], rows: int, tokens: int
) -> None:
    together = Drive(rows, tokens)
    for number, texts in enumerate(requests):
        together.add(number, *texts)
    together.run()
    for number, texts in enumerate(requests):
        got = [together.text(number, index) for index in range(len(texts))]
        assert got == [text.upper() for text in texts]


class Engine(RuleBasedStateMachine):
    """Any order of ``add``, ``cancel`` and ``step``: each request settles once or was cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.drive = Drive(rows=3, padded_tokens=30)
        self.made = 0
        self.open: set[int] = set()

    @rule(texts=TEXTS, fate=st.sampled_from(["", "", "", "Now raise.", "One unencodable."]))
    def add(self, texts: list[str], fate: str) -> None:
        self.made += 1
        try:
            self.drive.add(self.made, *texts, fate)
        except ValueError:
            return
        self.open.add(self.made)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        request_id = data.draw(st.sampled_from(sorted(self.open)))
        self.drive.engine.cancel(request_id)
        self.open.discard(request_id)

    @precondition(lambda self: self.open)
    @rule()
    def step(self) -> None:
        self.drive.step()
        self.open = {one for one in self.open if not self.drive.settled(one)}

    @invariant()
    def what_is_open_runs(self) -> None:
        assert self.drive.engine.running == len(self.open)

    def teardown(self) -> None:
        self.drive.run()
        assert all(self.drive.settled(one) for one in self.open)
        assert len(self.drive.engine._batcher) == 0


TestEngine = Engine.TestCase
TestEngine.settings = settings(max_examples=60, stateful_step_count=30)


def test_a_word_that_the_translator_does_not_know_is_copied() -> None:
    drive = Drive()
    drive.engine.add(1, Translate(texts=("I met Müller.",), source="en", target="pt"))
    report = drive.engine.step()
    assert drive.translator.batches == [[["I", "met", "A1."]]]
    (told,) = [one for _, events in report.events for one in events if isinstance(one, Delta)]
    assert told.text == "I MET Müller."
