"""Every engine behind the same supervisor, with work that fits it."""

from __future__ import annotations

import collections
import functools
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
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
    Transcribe,
    Translate,
    Usage,
)

SPEECH = Path(__file__).parents[1] / "data" / "speech.flac"
WINDOW_S = 30


@dataclass
class Rig:
    """A supervised model, work for it, and a count of what its hosts settled.

    ``step_s`` is how long a request whose caller left may stay in the engine.
    The end of a host is known within ``noticed_s``, at the best of some kills.
    """

    supervisor: Supervisor
    make: Callable[[int], Payload]
    step_s: float = 2.0
    noticed_s: float = 1.0
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


@functools.cache
def transcription(size: int) -> Payload:
    import soundfile  # vLLM's environment, which uses this file too, has it not

    # A step writes down a window of half a minute, in which two sentences are said.
    speech, rate = soundfile.read(SPEECH, dtype="int16")
    speech, rate = speech[::2], rate // 2
    window = np.zeros(WINDOW_S * rate, np.int16)
    window[: len(speech)] = speech
    file = io.BytesIO()
    windows = 1 + size // 12 if size < 50 else size // 25
    soundfile.write(file, np.tile(window, windows), rate, format="FLAC", subtype="PCM_S8")
    return Transcribe(audio=file.getvalue())


ENGINES: dict[str, tuple[str | None, dict[str, object], Callable[[int], Payload]]] = {
    "fake": (None, {"step_ms": 5}, completion),
    "openvino": ("smollm", {}, completion),
    "marian": ("firefox_en_pt", {}, translation),
    "ctranslate2": ("opus_like", {}, translation),
    "encoder": ("minilm", {}, embedding),
    "whisper": ("whisper", {"max_batch": 1}, transcription),
}
RUNS_ON = {"whisper": "ctranslate2"}
"""The engine of what has not its engine's name."""
STEP_S = {"whisper": 8.0}
"""What its step may take on a busy machine; 2 s where it is not said."""


@pytest_asyncio.fixture(params=list(ENGINES), scope="module", loop_scope="module")
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    model, options, make = ENGINES[request.param]
    folder = str(request.getfixturevalue(model)) if model else ""
    step_s = STEP_S.get(request.param, 2.0)
    settings = HostSettings(
        model=request.param,
        engine=RUNS_ON.get(request.param, request.param),
        folder=folder,
        options=dict(options),
        stall_timeout_s=step_s + 1,
    )
    made: list[Rig] = []
    observer = Observer(step=lambda name, step: made[0].on_step(name, step))  # noqa: PLW0108 - it exists only later
    made.append(Rig(Supervisor(settings, observer), make, step_s=step_s))
    if request.param == "fake":  # whose start takes no time
        made[0].noticed_s = 0.25
    await made[0].supervisor.start()
    yield made[0]
    await made[0].supervisor.stop()
    assert made[0].settled
    assert set(made[0].settled.values()) == {1}, "a host settled a request twice"
