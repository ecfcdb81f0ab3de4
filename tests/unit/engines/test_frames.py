"""Frames: what is sent is what arrives, however the stream is cut; anything else is an error."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.engines.frames import (
    MAX_FRAME_BYTES,
    PREFIX_BYTES,
    Cancel,
    FrameReader,
    FromHost,
    Launch,
    LoadFailed,
    Loading,
    Ready,
    Shutdown,
    Step,
    Submit,
    ToHost,
    encode,
    from_host,
    to_host,
)
from hexkey.errors import Code
from hexkey.types import (
    Autocomplete,
    Chat,
    Classify,
    ContextFile,
    Delta,
    Embed,
    Failure,
    Finish,
    FinishReason,
    Length,
    Message,
    ModelInfo,
    Rerank,
    Sampling,
    Scores,
    Segment,
    StopRule,
    Summarize,
    TokenLogprob,
    Transcribe,
    Translate,
    Usage,
    Vector,
)

TEXT = st.text(max_size=20)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
COUNT = st.integers(0, 1 << 40)
SAMPLING = st.builds(
    Sampling,
    max_tokens=COUNT,
    temperature=st.floats(0, 2),
    seed=st.none() | st.integers(-(1 << 63) + 1, (1 << 63) - 1),
    stop=st.lists(TEXT, max_size=3).map(tuple),
    logprobs=st.booleans(),
)
FILES = st.lists(st.builds(ContextFile, TEXT, TEXT), max_size=2).map(tuple)
PAYLOADS = st.one_of(
    st.builds(
        Autocomplete,
        prefix=TEXT,
        suffix=TEXT,
        tokens=st.lists(COUNT, max_size=3).map(tuple),
        context=FILES,
        stop_rule=st.sampled_from(StopRule),
        sampling=SAMPLING,
    ),
    st.builds(
        Chat,
        messages=st.lists(st.builds(Message, TEXT, TEXT), max_size=3).map(tuple),
        sampling=SAMPLING,
    ),
    st.builds(Translate, texts=TEXTS, target=TEXT, source=TEXT),
    st.builds(
        Embed,
        texts=TEXTS,
        tokens=st.lists(st.lists(COUNT, max_size=3).map(tuple), max_size=3).map(tuple),
        dimensions=COUNT,
        truncate=st.booleans(),
    ),
    st.builds(Rerank, query=TEXT, documents=TEXTS, top_n=COUNT, truncate=st.booleans()),
    st.builds(Classify, texts=TEXTS, labels=TEXTS),
    st.builds(
        Transcribe,
        audio=st.binary(max_size=99),
        language=TEXT,
        prompt=TEXT,
        timestamps=st.booleans(),
    ),
    st.builds(Summarize, text=TEXT, length=st.sampled_from(Length), sampling=SAMPLING),
)
LOGPROBS = st.lists(st.builds(TokenLogprob, st.binary(max_size=4), st.floats(-99, 0)), max_size=2)
EVENTS = st.one_of(
    st.builds(Delta, COUNT, TEXT, COUNT, LOGPROBS.map(tuple)),
    st.builds(Finish, COUNT, st.sampled_from(FinishReason)),
    st.builds(Vector, COUNT, st.binary(max_size=99)),
    st.builds(Scores, COUNT, st.lists(st.floats(0, 1), max_size=3).map(tuple), TEXTS),
    st.builds(Segment, st.floats(0, 9e9), st.floats(0, 9e9), TEXT, TEXT),
    st.builds(Usage, COUNT, COUNT, COUNT, COUNT, st.floats(0, 9e9)),
    st.builds(Failure, st.sampled_from(Code), TEXT, st.none() | TEXT),
)
OPTIONS = st.dictionaries(TEXT, st.booleans() | st.integers(-9, 9) | TEXT, max_size=3)
TO_HOST: st.SearchStrategy[ToHost] = st.one_of(
    st.builds(Launch, COUNT, TEXT, TEXT, TEXT, OPTIONS),
    st.builds(Submit, COUNT, PAYLOADS),
    st.builds(Cancel, COUNT),
    st.just(Shutdown()),
)
FROM_HOST: st.SearchStrategy[FromHost] = st.one_of(
    st.builds(Loading, TEXT),
    st.builds(Ready, COUNT, st.builds(ModelInfo, context_tokens=COUNT, notes=st.just(("a", "b")))),
    st.builds(LoadFailed, TEXT),
    st.builds(
        Step,
        *(COUNT, COUNT, COUNT, COUNT),
        st.lists(st.tuples(COUNT, COUNT, COUNT), max_size=3),
        st.lists(st.tuples(COUNT, st.lists(EVENTS, max_size=4)), max_size=3),
    ),
)


def chunks(data: bytes, sizes: list[int]) -> list[bytes]:
    """``data`` cut into pieces of these sizes, over and over."""
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(data[at : at + size])
        at += size
    return pieces


@given(st.lists(FROM_HOST, max_size=5), st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_what_a_host_sends_arrives_however_it_is_cut(
    messages: list[FromHost], sizes: list[int]
) -> None:
    reader: FrameReader[FromHost] = FrameReader(from_host)
    stream = b"".join(map(encode, messages))
    arrived = [one for piece in chunks(stream, sizes) for one in reader.feed(piece)]
    assert arrived == messages


@given(st.lists(TO_HOST, max_size=5), st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_what_is_sent_to_a_host_arrives_however_it_is_cut(
    messages: list[ToHost], sizes: list[int]
) -> None:
    reader: FrameReader[ToHost] = FrameReader(to_host)
    stream = b"".join(map(encode, messages))
    arrived = [one for piece in chunks(stream, sizes) for one in reader.feed(piece)]
    assert arrived == messages


@given(st.binary(max_size=300), st.booleans())
def test_garbage_is_an_error_or_not_yet_a_frame(data: bytes, framed: bool) -> None:  # noqa: FBT001
    reader: FrameReader[FromHost] = FrameReader(from_host)
    stream = len(data).to_bytes(PREFIX_BYTES, "big") + data if framed else data
    try:
        arrived = reader.feed(stream)
    except ValueError:
        return
    assert all(isinstance(one, FromHost) for one in arrived)


@given(FROM_HOST, st.data())
def test_a_spoilt_frame_is_an_error_or_another_message(
    message: FromHost, data: st.DataObject
) -> None:
    frame = bytearray(encode(message))
    at = data.draw(st.integers(PREFIX_BYTES, len(frame) - 1))
    frame[at] = data.draw(st.integers(0, 255))
    reader: FrameReader[FromHost] = FrameReader(from_host)
    try:
        (arrived,) = reader.feed(bytes(frame))
    except ValueError:
        return
    assert isinstance(arrived, FromHost)


def test_a_frame_too_large_is_refused_by_its_length_alone() -> None:
    reader: FrameReader[FromHost] = FrameReader(from_host)
    assert reader.feed(MAX_FRAME_BYTES.to_bytes(PREFIX_BYTES, "big")) == []
    reader = FrameReader(from_host)
    with pytest.raises(ValueError, match="at most"):
        reader.feed((MAX_FRAME_BYTES + 1).to_bytes(PREFIX_BYTES, "big"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode(["step"]),
        msgspec.msgpack.encode(["nonsense", 1]),
        msgspec.msgpack.encode({"type": "step"}),
        msgspec.msgpack.encode(["loading", 5]),
        msgspec.msgpack.encode(["loading", b"\xff"]),
        b"\x92\xa7loading\xa1\xff",
        msgspec.msgpack.encode(["loading", "a"]) + b"\x00",
        b"\x91" * 100_000,
        encode(Shutdown())[PREFIX_BYTES:],
    ],
)
def test_what_is_no_message_of_a_host_is_an_error(body: bytes) -> None:
    reader: FrameReader[FromHost] = FrameReader(from_host)
    with pytest.raises(ValueError):  # noqa: PT011 - msgspec's words are not ours to match
        reader.feed(len(body).to_bytes(PREFIX_BYTES, "big") + body)
