"""The openvino engine on a real model, driven step by step as its host does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hexkey.engines.base import LoadContext, StepReport
from hexkey.engines.openvino import load
from hexkey.engines.openvino.engine import OpenvinoEngine
from hexkey.types import Delta, Failure, Finish, FinishReason, HostEvent, Payload, Usage


@dataclass
class Answer:
    """All that an engine said about one request."""

    events: list[HostEvent] = field(default_factory=list)
    computed: list[int] = field(default_factory=list)

    @property
    def usage(self) -> Usage:
        assert isinstance(self.events[-1], Usage)
        return self.events[-1]

    @property
    def failure(self) -> Failure:
        assert isinstance(self.events[-1], Failure)
        return self.events[-1]

    def deltas(self, index: int = 0) -> list[Delta]:
        return [one for one in self.events if isinstance(one, Delta) and one.index == index]

    def text(self, index: int = 0) -> str:
        return "".join(delta.text for delta in self.deltas(index))

    def reason(self, index: int = 0) -> FinishReason:
        (reason,) = (
            one.reason for one in self.events if isinstance(one, Finish) and one.index == index
        )
        return reason


class Driver:
    """Adds requests to an engine, steps it, and keeps what it says."""

    def __init__(self, engine: OpenvinoEngine) -> None:
        self.engine = engine
        self.answers: dict[int, Answer] = {}

    def add(self, payload: Payload) -> Answer:
        number = len(self.answers)
        self.engine.add(number, payload)
        self.answers[number] = Answer()
        return self.answers[number]

    def cancel(self, answer: Answer) -> None:
        self.engine.cancel(next(n for n, one in self.answers.items() if one is answer))

    def step(self, times: int = 1, *, skim: bool = False) -> None:
        for _ in range(times):
            self._take([self.engine.step()] if not skim else self.engine.skim(lambda: True))

    def _take(self, reports: list[StepReport]) -> None:
        for report in reports:
            assert report.begin_ns < report.done_ns
            for number, computed, context in report.computed:
                assert 0 < computed <= context
                self.answers[number].computed.append(computed)
            for number, events in report.events:
                assert events
                self.answers[number].events += events

    def run(self, *payloads: Payload, skim: bool = False) -> list[Answer]:
        answers = [self.add(payload) for payload in payloads]
        while self.engine.running:
            self.step(skim=skim)
        return answers


def context(folder: Path, **options: object) -> LoadContext:
    return LoadContext("smollm", folder, options, lambda _line: None)


@pytest.fixture(scope="module")
def engine(smollm: Path) -> OpenvinoEngine:
    return load(context(smollm))


@pytest.fixture
def driver(engine: OpenvinoEngine) -> Driver:
    assert not engine.running
    return Driver(engine)


@pytest.fixture(scope="module")
def exact_engine(smollm: Path) -> OpenvinoEngine:
    return load(context(smollm, reproducible=True))


@pytest.fixture
def exact(exact_engine: OpenvinoEngine) -> Driver:
    assert not exact_engine.running
    return Driver(exact_engine)
