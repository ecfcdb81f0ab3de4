"""Every engine behind the same supervisor, with work that fits it."""

from __future__ import annotations

import collections
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from hexkey.engines.frames import Step
from hexkey.engines.supervisor import HostSettings, Observer, Supervisor
from hexkey.types import (
    Autocomplete,
    Embed,
    Failure,
    Payload,
    Request,
    Sampling,
    Translate,
    Usage,
)

STALL_S = 3.0


@dataclass
class Rig:
    """A supervised model, work for it, and a count of what its hosts settled."""

    supervisor: Supervisor
    make: Callable[[int], Payload]
    settled: collections.Counter[tuple[int, int]] = field(default_factory=collections.Counter)
    computed: dict[tuple[int, int], int] = field(default_factory=dict)

    def request(self, size: int, *, deadline: float | None = None) -> Request:
        """A request that takes about ``size`` steps and streams as it goes."""
        return Request(id="t", payload=self.make(size), protocol="test", deadline=deadline)

    def on_step(self, _model: str, step: Step) -> None:
        for request_id, events in step.events:
            for event in events:
                if isinstance(event, Usage | Failure):
                    self.settled[step.incarnation, request_id] += 1
        for request_id, tokens, _context in step.computed:
            key = (step.incarnation, request_id)
            self.computed[key] = self.computed.get(key, 0) + tokens


def completion(size: int) -> Payload:
    # A continuation the model is sure of: in a batch the kernels round differently, and where two
    # tokens are nearly as likely OpenVINO's greedy choice can depend on the company.
    return Autocomplete(prefix="1, 2, 3, 4, 5, 6, 7,", sampling=Sampling(max_tokens=size))


def translation(size: int) -> Payload:
    # More sentences than a request may have waiting, so that it takes as many batches.
    text = " ".join(f"The house number {i} stands at the end of the road." for i in range(size * 2))
    return Translate(texts=(text,), source="en", target="pt")


def embedding(size: int) -> Payload:
    # As above: more texts than a request may have waiting.
    return Embed(texts=tuple(f"the house with the number {i}" for i in range(size * 10)))


ENGINES = {
    "fake": (None, {"step_ms": 5}, completion),
    "openvino": ("smollm", {}, completion),
    "marian": ("firefox_en_pt", {}, translation),
    "ctranslate2": ("opus_like", {}, translation),
    "encoder": ("minilm", {}, embedding),
}


@pytest_asyncio.fixture(params=list(ENGINES), scope="module", loop_scope="module")
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    model, options, make = ENGINES[request.param]
    folder = str(request.getfixturevalue(model)) if model else ""
    settings = HostSettings(
        model=request.param,
        engine=request.param,
        folder=folder,
        options=dict(options),
        stall_timeout_s=STALL_S,
    )
    made: list[Rig] = []
    observer = Observer(step=lambda name, step: made[0].on_step(name, step))  # noqa: PLW0108 - it exists only later
    made.append(Rig(Supervisor(settings, observer), make))
    await made[0].supervisor.start()
    yield made[0]
    await made[0].supervisor.stop()
    assert made[0].settled
    assert set(made[0].settled.values()) == {1}, "a host settled a request twice"
