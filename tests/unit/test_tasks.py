"""The table of tasks: complete, and what it says of each is so."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from hexkey.engines.base import LoadContext
from hexkey.engines.fake import load
from hexkey.errors import ServeError
from hexkey.tasks import TASKS, entry_of
from hexkey.types import (
    Autocomplete,
    Chat,
    Classify,
    Embed,
    Event,
    Finish,
    HostEvent,
    Length,
    ModelInfo,
    Payload,
    Sampling,
    Scores,
    Summarize,
    Task,
    Usage,
    Vector,
    task_of,
)
from tests.unit.requests import CHAT, ONE_OF_EACH, translate

BARE = ModelInfo(context_tokens=100)
ABLE = ModelInfo(
    context_tokens=100,
    fim=True,
    logprobs=True,
    schemas=True,
    dimensions=8,
    labels=("a",),
    notes=("so and so",),
)


def test_every_task_has_an_entry_with_a_payload_of_its_own() -> None:
    assert set(TASKS) == set(Task)
    assert {entry.payload for entry in TASKS.values()} == set(get_args(Payload))
    for task, entry in TASKS.items():
        assert entry.payload.__struct_config__.tag == task.value
    assert {task_of(payload) for payload in ONE_OF_EACH} == set(Task)


@pytest.mark.parametrize("payload", ONE_OF_EACH, ids=task_of)
def test_an_engine_tells_of_as_many_outputs_as_the_table_says(payload: Payload) -> None:
    engine = load(LoadContext("m", Path(), {}, lambda _text: None))
    engine.add(1, entry_of(payload).work(payload))
    events: list[HostEvent] = []
    while engine.running:
        for _, some in engine.step().events:
            events += some
    ends = [event for event in events if isinstance(event, Finish | Vector | Scores)]
    assert [event.index for event in ends] == list(range(entry_of(payload).outputs(payload)))
    assert isinstance(events[-1], Usage)
    assert set(map(type, events)) <= set(get_args(Event))


def test_a_vector_of_the_fake_engine_is_of_the_length_asked_for_and_of_unit_length() -> None:
    engine = load(LoadContext("m", Path(), {}, lambda _text: None))
    engine.add(1, Embed(texts=("a", "a", "b"), dimensions=4))
    [(_, events)] = engine.step().events
    one, same, other = (event for event in events if isinstance(event, Vector))
    assert one.values == same.values != other.values
    assert len(one) == 4
    assert sum(number**2 for number in one.values) == pytest.approx(1)


@pytest.mark.parametrize(
    ("payload", "param"),
    [
        (Autocomplete(prefix="a", sampling=Sampling(logprobs=True)), "logprobs"),
        (Chat(messages=CHAT.messages, sampling=Sampling(logprobs=True)), "logprobs"),
        (Chat(messages=CHAT.messages, sampling=Sampling(json_schema="{}")), "json_schema"),
        (Embed(texts=("a",), dimensions=8), "dimensions"),
        (Classify(texts=("a",)), "labels"),
    ],
    ids=lambda value: value if isinstance(value, str) else task_of(value),
)
def test_what_a_model_cannot_do_beside_the_task_is_refused_by_name(
    payload: Payload, param: str
) -> None:
    entry = entry_of(payload)
    entry.able(payload, "m", ABLE)
    with pytest.raises(ServeError, match="'m'") as caught:
        entry.able(payload, "m", BARE)
    assert caught.value.param == param


def test_what_a_caller_should_know() -> None:
    suffixed = Autocomplete(prefix="a", suffix="b")
    assert entry_of(suffixed).notes(suffixed, ABLE) == ()
    assert "no fill-in-the-middle" in entry_of(suffixed).notes(suffixed, BARE)[0]
    scored = Classify(texts=("a",))
    assert entry_of(scored).notes(scored, ABLE) == ("so and so",)
    assert entry_of(CHAT).notes(CHAT, ABLE) == ()


def test_a_summary_is_asked_of_a_model_that_chats() -> None:
    sampling = Sampling(max_tokens=5)
    payload = Summarize(text="A long story.", length=Length.SHORT, sampling=sampling)
    work = entry_of(payload).work(payload)
    assert isinstance(work, Chat)
    assert work.sampling is sampling
    assert work.messages[-1].role == "user"
    assert work.messages[-1].content.endswith("A long story.")
    assert "one short sentence" in work.messages[-1].content
    assert entry_of(translate()).work(translate()) == translate()
