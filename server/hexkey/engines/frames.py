"""The channel between hexkey and an engine host: msgpack frames behind a 4-byte length.

One frame per engine step carries every request's events, so the cost of the channel is per step,
not per token. Both ends speak only these structs.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from hexkey.engines.lexicon import Question, Reply
from hexkey.types import PLAIN, HostEvent, ModelInfo, Payload, Terms

MAX_FRAME_BYTES = 64 * 1024 * 1024
PREFIX_BYTES = 4
PULSE_S = 1.0
HOLD_S = 0.05


class Launch(msgspec.Struct, tag="launch", array_like=True):
    """First frame to a host: what to load.

    ``options`` are the engine's own settings, ``adapters`` folders by the adapters' names.
    """

    incarnation: int
    engine: str
    model: str
    folder: str
    options: dict[str, object]
    adapters: dict[str, str] = {}


class Submit(msgspec.Struct, tag="submit", array_like=True):
    """Take this request; nobody reads its answer before the end if it is ``whole``."""

    id: int
    payload: Payload
    whole: bool = False
    terms: Terms = PLAIN


class Cancel(msgspec.Struct, tag="cancel", array_like=True):
    """Nobody waits for this request any more."""

    id: int


class Scrape(msgspec.Struct, tag="scrape", array_like=True):
    """Tell the metrics that the engine keeps by itself."""


class Adapt(msgspec.Struct, tag="adapt", array_like=True):
    """Hold an adapter of the model in memory, or hold it no longer; answered by ``Adapted``."""

    adapter: str
    hold: bool


class Ask(msgspec.Struct, tag="ask", array_like=True):
    """Answer this question about the model's tokens."""

    id: int
    question: Question


class Shutdown(msgspec.Struct, tag="shutdown", array_like=True):
    """End now; no answer is expected."""


class Loading(msgspec.Struct, tag="loading", array_like=True):
    """A line for people about the load under way."""

    message: str


class Ready(msgspec.Struct, tag="ready", array_like=True):
    """The model serves; the CPU time of ``workers``, process ids, is progress of its engine."""

    incarnation: int
    info: ModelInfo
    workers: tuple[int, ...] = ()


class Exposition(msgspec.Struct, tag="exposition", array_like=True):
    """Metrics in Prometheus text format; nothing where the engine keeps none."""

    text: bytes


class Adapted(msgspec.Struct, tag="adapted", array_like=True):
    """An adapter is as it was to be, or ``error`` says why not."""

    adapter: str
    error: str = ""


class Told(msgspec.Struct, tag="told", array_like=True):
    """The answer to the question of that id, or why there is none."""

    id: int
    reply: Reply


class LoadFailed(msgspec.Struct, tag="load_failed", array_like=True):
    """The model cannot be loaded and trying again will not help."""

    message: str


class Step(msgspec.Struct, tag="step", array_like=True):
    """What one engine step did; see ``hexkey.engines.base.StepReport``.

    It is also the host's pulse: an idle host sends an empty one every ``PULSE_S`` seconds. Those
    that nobody waits for come several at a time, ``HOLD_S`` late at the most.
    """

    incarnation: int
    begin_ns: int
    done_ns: int
    running: int
    computed: list[tuple[int, int, int]] = []
    events: list[tuple[int, list[HostEvent]]] = []
    kv_used: float | None = None


T = TypeVar("T")

ToHost = Launch | Submit | Cancel | Scrape | Adapt | Ask | Shutdown
FromHost = Loading | Ready | LoadFailed | Step | Exposition | Adapted | Told

_encoder = msgspec.msgpack.Encoder()
to_host: msgspec.msgpack.Decoder[ToHost] = msgspec.msgpack.Decoder(ToHost)
from_host: msgspec.msgpack.Decoder[FromHost] = msgspec.msgpack.Decoder(FromHost)


def encode(message: ToHost | FromHost) -> bytes:
    """The frame of a message, length first."""
    body = _encoder.encode(message)
    return len(body).to_bytes(PREFIX_BYTES, "big") + body


class FrameReader(Generic[T]):
    """Cuts a byte stream into frames: ``feed`` it bytes, get whole messages.

    Raises ``ValueError`` on a frame that is too large or is none of the expected messages.
    """

    def __init__(self, decoder: msgspec.msgpack.Decoder[T]) -> None:
        self._decoder = decoder
        self._buffer = bytearray()

    @property
    def unfinished(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[T]:
        """Return every message that ``data`` completes, in order."""
        buffer = self._buffer
        buffer += data
        messages: list[T] = []
        start, end = 0, len(buffer)
        while end - start >= PREFIX_BYTES:
            size = int.from_bytes(buffer[start : start + PREFIX_BYTES], "big")
            if size > MAX_FRAME_BYTES:
                raise ValueError(f"frame of {size} bytes, at most {MAX_FRAME_BYTES} are taken")
            if end - start - PREFIX_BYTES < size:
                break
            start += PREFIX_BYTES
            messages.append(self._decoder.decode(buffer[start : start + size]))
            start += size
        del buffer[:start]
        return messages
