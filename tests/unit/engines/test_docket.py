"""What a host has taken: each settles once, and what nobody waits for may wait."""

from __future__ import annotations

import pytest

from hexkey.engines.base import StepReport
from hexkey.engines.docket import Docket
from hexkey.engines.frames import Cancel, Submit
from hexkey.errors import Code, invalid
from hexkey.types import Autocomplete, Delta, Failure, HostEvent, ModelInfo, Payload, Usage

WORK = Autocomplete(prefix="a")
WORD, END = Delta(0, "w ", 1), Usage()
EAGER, WHOLE, OTHER = 1, 2, 3


class Door:
    """An engine as far as a docket knows one."""

    info = ModelInfo(context_tokens=8)
    running = 0

    def add(self, request_id: int, payload: Payload) -> None:
        assert isinstance(payload, Autocomplete)
        if payload.prefix == "refuse":
            raise invalid("no")
        if payload.prefix == "bug":
            raise KeyError("a user's text")
        assert request_id

    def cancel(self, request_id: int) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def docket() -> Docket:
    made = Docket(Door(), 7)
    for message in (Submit(EAGER, WORK), Submit(WHOLE, WORK, True), Submit(OTHER, WORK, True)):
        assert made.take(message) == []
    return made


def waits(docket: Docket, **told: list[HostEvent]) -> bool:
    """Whether the frame of a step may wait that tells this of these requests."""
    events = [(globals()[name], batch) for name, batch in told.items()]
    return docket.can_wait(docket.frame(StepReport(1, 2, events=events)))


def test_only_more_of_what_is_read_whole_may_wait(docket: Docket) -> None:
    assert not waits(docket, WHOLE=[WORD]), "the first news tell when it began"
    assert waits(docket, WHOLE=[WORD])
    assert not waits(docket, WHOLE=[WORD], OTHER=[WORD])
    assert waits(docket, WHOLE=[WORD], OTHER=[WORD])
    assert not waits(docket, WHOLE=[WORD], EAGER=[WORD])
    assert waits(docket), "a step of prompts alone tells nobody anything"
    assert not waits(docket, WHOLE=[WORD, END])
    assert not waits(docket, OTHER=[Failure(Code.INTERNAL, "why")])


def test_a_number_that_was_used_whole_before_is_eager_again(docket: Docket) -> None:
    waits(docket, WHOLE=[WORD])
    docket.take(Cancel(WHOLE))
    docket.take(Submit(WHOLE, WORK))
    assert not waits(docket, WHOLE=[WORD])
    assert not waits(docket, WHOLE=[WORD])


def test_nothing_is_told_of_what_settled_or_was_cancelled(docket: Docket) -> None:
    frame = docket.frame(StepReport(1, 2, events=[(EAGER, [WORD, END])]))
    assert (frame.incarnation, frame.events) == (7, [(EAGER, [WORD, END])])
    docket.take(Cancel(WHOLE))
    docket.take(Cancel(EAGER))
    report = StepReport(1, 2, events=[(EAGER, [END]), (WHOLE, [WORD]), (OTHER, [WORD])])
    assert docket.frame(report).events == [(OTHER, [WORD])]
    failed = docket.failed(KeyError("a user's text"))
    assert [request_id for request_id, _ in failed.events] == [OTHER]
    assert "user" not in str(failed)


@pytest.mark.parametrize(("prefix", "code"), [("refuse", "invalid_argument"), ("bug", "internal")])
def test_what_is_refused_was_never_taken(docket: Docket, prefix: str, code: str) -> None:
    ((request_id, (failure,)),) = docket.take(Submit(9, Autocomplete(prefix=prefix)))
    assert isinstance(failure, Failure)
    assert (request_id, failure.code.value) == (9, code)
    assert "user" not in failure.message
    assert not docket.frame(StepReport(1, 2, events=[(9, [WORD])])).events
