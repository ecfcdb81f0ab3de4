"""The fake engine: what other tests lean on is as its text says."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexkey.engines.base import LoadContext
from hexkey.engines.fake import CONTEXT_TOKENS, FATE_STEP, FakeEngine, FakeOptions, load
from hexkey.errors import Code, ServeError
from hexkey.models.errors import ModelError
from hexkey.types import (
    Autocomplete,
    Chat,
    Delta,
    Failure,
    Finish,
    FinishReason,
    HostEvent,
    Message,
    Payload,
    Sampling,
    Translate,
    Usage,
)


def context(**options: object) -> LoadContext:
    return LoadContext("m", Path(), options, lambda _text: None)


def run(engine: FakeEngine, *payloads: Payload) -> dict[int, list[HostEvent]]:
    events: dict[int, list[HostEvent]] = {}
    for number, payload in enumerate(payloads):
        engine.add(number, payload)
    while engine.running:
        for request_id, some in engine.step().events:
            events.setdefault(request_id, []).extend(some)
    return events


def prompt(text: str, max_tokens: int = 4, n: int = 1) -> Autocomplete:
    return Autocomplete(prefix=text, sampling=Sampling(max_tokens=max_tokens, n=n))


def text(events: list[HostEvent], index: int = 0) -> str:
    return "".join(e.text for e in events if isinstance(e, Delta) and e.index == index)


def test_text_tasks_are_answered_with_words() -> None:
    chat = Chat(messages=(Message("user", "a b c"),), sampling=Sampling(max_tokens=2))
    events = run(FakeEngine(FakeOptions()), prompt("one two"), chat)
    assert text(events[0]) == "w0 w1 w2 w3 "
    assert events[0][-2:] == [Finish(0, FinishReason.LENGTH), Usage(2, 4, 0, 7)]
    assert text(events[1]) == "w0 w1 "


def test_translations_are_in_capitals() -> None:
    texts = ("Olá mundo", "", " x\n")
    events = run(FakeEngine(FakeOptions()), Translate(texts=texts, target="pt"))[0]
    assert [text(events, index) for index in range(3)] == ["OLÁ MUNDO", "", " X\n"]
    assert {e.index: e.reason for e in events if isinstance(e, Finish)} == dict.fromkeys(
        range(3), FinishReason.STOP
    )
    assert isinstance(events[-1], Usage)


@pytest.mark.parametrize("stride", [1, 3, 100])
def test_the_stride_changes_the_pace_and_not_the_text(stride: int) -> None:
    engine = FakeEngine(FakeOptions(tokens_per_step=stride))
    events = run(engine, prompt("a", n=2, max_tokens=10))[0]
    assert text(events, 0) == text(events, 1) == "".join(f"w{i} " for i in range(10))
    assert sum(isinstance(event, Delta) for event in events) == 2 * -(-10 // stride)
    assert events[-1] == Usage(1, 20, 0, 1)


def test_fates_at_the_door() -> None:
    engine = FakeEngine(FakeOptions())
    with pytest.raises(ServeError) as caught:
        engine.add(1, prompt("[[refuse]]"))
    assert caught.value.code is Code.INVALID_ARGUMENT
    with pytest.raises(RuntimeError):
        engine.add(2, prompt("[[bug]]"))
    with pytest.raises(ServeError, match="longer than"):
        engine.add(3, prompt("w " * (CONTEXT_TOKENS + 1)))
    assert engine.running == 0


def test_a_fate_in_a_step_comes_at_its_step() -> None:
    engine = FakeEngine(FakeOptions())
    engine.add(1, prompt("[[raise]]", max_tokens=100))
    for _ in range(FATE_STEP - 1):
        engine.step()
    with pytest.raises(RuntimeError):
        engine.step()


def test_a_share_of_requests_fails_alone_after_two_tokens() -> None:
    engine = load(context(failing=0.5))
    answers = run(engine, *[prompt("a")] * 200)
    failed = [events for events in answers.values() if isinstance(events[-1], Failure)]
    assert 70 < len(failed) < 130
    assert all(text(events) == "w0 w1 " for events in failed)
    assert run(load(context(failing=0.5)), *[prompt("a")] * 200) == answers


def test_a_cancel_forgets() -> None:
    engine = FakeEngine(FakeOptions())
    engine.add(1, prompt("a"))
    engine.cancel(1)
    engine.cancel(1)
    assert engine.running == 0
    assert engine.step().events == []


def test_options_are_read_and_checked() -> None:
    assert load(context(step_ms=1, tokens_per_step=2)).running == 0
    with pytest.raises(ModelError, match=r"^as asked$"):
        load(context(load_error="as asked"))
    with pytest.raises(ModelError, match="unknown key; did you mean 'step_ms'"):
        load(context(step=1))
    with pytest.raises(ModelError, match="expected a number, found 'x'"):
        load(context(step_ms="x"))
