"""The front end's end of the channel: events merge, mailboxes settle once, bad frames end it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.engines.frames import (
    MAX_FRAME_BYTES,
    Cancel,
    FrameReader,
    FromHost,
    LoadFailed,
    Loading,
    Ready,
    Shutdown,
    Step,
    Submit,
    ToHost,
    Told,
    encode,
    to_host,
)
from hexkey.engines.lexicon import Lexed, Tokenize
from hexkey.engines.link import MAX_ASKED, MAX_MERGED_CHARACTERS, Link, Mailbox
from hexkey.errors import Code, ServeError
from hexkey.types import (
    Began,
    Chat,
    Delta,
    Event,
    Failure,
    Finish,
    FinishReason,
    HostEvent,
    Message,
    ModelInfo,
    TokenLogprob,
    Transcribe,
    Usage,
)
from tests.unit.requests import CHAT

FAILURE = Failure(Code.INTERNAL, "broke", "prompt")


async def read(mailbox: Mailbox) -> tuple[list[Event], ServeError | None]:
    """Everything up to what settles the request."""
    events: list[Event] = []
    while True:
        try:
            event = await asyncio.wait_for(mailbox.get(), 5)
        except ServeError as error:
            return events, error
        if isinstance(event, Began):
            continue
        events.append(event)
        if type(events[-1]) is Usage:
            return events, None


def deltas() -> st.SearchStrategy[HostEvent]:
    texts = st.builds(Delta, st.integers(0, 2), st.text("ab", max_size=3), st.integers(0, 2))
    return st.one_of(texts, st.builds(Finish, st.integers(0, 2), st.just(FinishReason.STOP)))


@given(
    st.lists(st.lists(deltas(), max_size=4), max_size=6), st.sampled_from([Usage(1, 2), FAILURE])
)
def test_a_slow_reader_loses_nothing(steps: list[list[HostEvent]], end: HostEvent) -> None:
    sent = [event for step in steps for event in step]
    text = [
        "".join(e.text for e in sent if isinstance(e, Delta) and e.index == i) for i in range(3)
    ]
    tokens = sum(event.tokens for event in sent if isinstance(event, Delta))
    ends = [event for event in sent if isinstance(event, Finish)]
    mailbox = Mailbox()
    for step in steps:
        mailbox.put(step)
    mailbox.put([end, Delta(0, "too late", 1), Usage(9, 9)])
    mailbox.fail(FAILURE)
    events, error = asyncio.run(read(mailbox))
    got = [event for event in events if isinstance(event, Delta)]
    assert ["".join(e.text for e in got if e.index == i) for i in range(3)] == text
    assert sum(event.tokens for event in got) == tokens
    assert [event for event in events if isinstance(event, Finish)] == ends
    assert all(
        not (isinstance(a, Delta) and isinstance(b, Delta) and a.index == b.index)
        for a, b in pairwise(events)
    ), "what waits is merged"
    if isinstance(end, Usage):
        assert error is None
        assert events[-1] == Usage(1, 2)
    else:
        assert error is not None
        assert (error.code, error.message, error.param) == (Code.INTERNAL, "broke", "prompt")


async def test_what_waits_for_a_slow_reader_is_bounded_by_the_outputs_and_not_by_the_steps() -> (
    None
):
    mailbox = Mailbox()
    for _ in range(300):
        mailbox.put([Delta(index, "ab ", 1) for index in range(16)])
    mailbox.put([Usage()])
    events, _ = await read(mailbox)
    assert [event.index for event in events if isinstance(event, Delta)] == list(range(16))
    assert {event.text for event in events if isinstance(event, Delta)} == {"ab " * 300}


async def test_merged_deltas_keep_their_logprobs() -> None:
    mailbox = Mailbox()
    one, other = TokenLogprob(b"a", -1.0), TokenLogprob(b"b", -2.0)
    mailbox.put([Delta(0, "a", 1, (one,))])
    mailbox.put([Delta(0, "b", 1, (other,))])
    assert await mailbox.get() == Delta(0, "ab", 2, (one, other))


async def test_a_merge_has_an_end() -> None:
    mailbox = Mailbox()
    for _ in range(5000):
        mailbox.put([Delta(0, "0123456789", 1)])
    mailbox.put([Usage()])
    events, _ = await read(mailbox)
    texts = [event.text for event in events if isinstance(event, Delta)]
    assert "".join(texts) == "0123456789" * 5000
    assert max(map(len, texts)) <= MAX_MERGED_CHARACTERS + 10
    assert len(texts) <= 50_000 // MAX_MERGED_CHARACTERS + 1


async def test_a_reader_is_woken() -> None:
    mailbox = Mailbox()
    reading = asyncio.create_task(read(mailbox))
    await asyncio.sleep(0)
    mailbox.put([])
    await asyncio.sleep(0)
    assert not reading.done(), "nothing is not an event"
    mailbox.put([Delta(0, "a", 1)])
    mailbox.put([Usage()])
    assert await reading == ([Delta(0, "a", 1), Usage()], None)


async def test_a_reader_that_left_is_no_trouble() -> None:
    mailbox = Mailbox()
    reading = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    mailbox.put([Usage()])
    assert await mailbox.get() == Usage()


class Wire:
    """The transport of a link: keeps what was sent."""

    def __init__(self) -> None:
        self.aborted = False
        self._reader: FrameReader[ToHost] = FrameReader(to_host)
        self.sent: list[ToHost] = []
        self.writes = 0

    def writelines(self, frames: list[bytes]) -> None:
        self.writes += 1
        self.sent += self._reader.feed(b"".join(frames))

    def abort(self) -> None:
        self.aborted = True


class Bench:
    """A link with its wire, and what it told."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.changes = 0
        self.steps: list[Step] = []
        self.lines: list[str] = []
        self.link = Link(7, self._changed, self.steps.append, self.lines.append)
        self.link.connection_made(cast("asyncio.Transport", self.wire))

    def _changed(self, link: Link) -> None:
        assert link is self.link
        self.changes += 1

    def receive(self, *messages: FromHost) -> None:
        self.link.data_received(b"".join(map(encode, messages)))


def step(request_id: int, *events: HostEvent, running: int = 3) -> Step:
    return Step(7, 0, 1, running, [], [(request_id, list(events))])


async def test_a_request_goes_out_and_its_events_come_in() -> None:
    bench = Bench()
    request_id, mailbox = bench.link.submit(CHAT)
    await asyncio.sleep(0)
    assert bench.wire.sent == [Submit(request_id, CHAT)]
    bench.receive(step(request_id, Delta(0, "a", 1)), step(request_id, Usage(1, 1)))
    assert await read(mailbox) == ([Delta(0, "a", 1), Usage(1, 1)], None)
    assert bench.link.waiting == 0
    assert bench.link.running == 3
    assert len(bench.steps) == 2
    bench.link.forget(request_id)
    await asyncio.sleep(0)
    assert len(bench.wire.sent) == 1, "a settled request needs no cancel"


async def test_what_is_sent_in_one_turn_of_the_loop_is_one_write_in_order() -> None:
    bench = Bench()
    first, second = bench.link.submit(CHAT)[0], bench.link.submit(CHAT)[0]
    bench.link.forget(first)
    await asyncio.sleep(0)
    assert bench.wire.sent == [Submit(first, CHAT), Submit(second, CHAT), Cancel(first)]
    assert bench.wire.writes == 1
    bench.link.forget(second)
    bench.link.abort("it ended")
    await asyncio.sleep(0)
    assert bench.wire.writes == 1, "a closed link sends nothing"


async def test_one_who_leaves_is_told_to_the_engine_once() -> None:
    bench = Bench()
    request_id, mailbox = bench.link.submit(CHAT)
    bench.link.forget(request_id)
    bench.link.forget(request_id)
    await asyncio.sleep(0)
    assert bench.wire.sent[1:] == [Cancel(request_id)]
    bench.receive(step(request_id, Delta(0, "late", 1), Usage()), step(99, Usage()))
    assert not mailbox.settled


async def test_requests_do_not_mix() -> None:
    bench = Bench()
    (one, first), (other, second) = bench.link.submit(CHAT), bench.link.submit(CHAT)
    assert one != other
    bench.receive(step(other, Delta(0, "b", 1), Usage()), step(one, FAILURE))
    assert (await read(second))[1] is None
    error = (await read(first))[1]
    assert error is not None
    assert error.code is Code.INTERNAL


async def test_the_states_of_a_load_are_told() -> None:
    bench = Bench()
    ready = Ready(7, ModelInfo(context_tokens=5))
    bench.receive(Loading("half"), ready)
    assert (bench.lines, bench.link.ready, bench.changes) == (["half"], ready, 1)
    bench.receive(LoadFailed("no"))
    assert (bench.link.refused, bench.changes) == ("no", 2)


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\xc1", encode(Shutdown()), b"\x00\x00\x00\x00"],
)
async def test_a_frame_that_cannot_be_read_ends_the_link(data: bytes) -> None:
    bench = Bench()
    _, mailbox = bench.link.submit(CHAT)
    bench.link.data_received(data)
    assert bench.link.closed
    assert bench.wire.aborted
    assert bench.changes == 1
    _, error = await read(mailbox)
    assert error is not None
    assert (error.code, "cannot be read" in error.message) == (Code.UNAVAILABLE, True)


async def test_a_lost_connection_fails_what_runs_once() -> None:
    bench = Bench()
    mailboxes = [bench.link.submit(CHAT)[1] for _ in range(3)]
    mailboxes[0].put([Usage()])
    bench.link.connection_lost(None)
    bench.link.abort("again")
    assert bench.changes == 1
    assert bench.link.waiting == 0
    assert (await read(mailboxes[0]))[1] is None
    for mailbox in mailboxes[1:]:
        _, error = await read(mailbox)
        assert error is not None
        assert "process ended" in error.message


async def test_a_closed_link_takes_nothing_and_says_so() -> None:
    bench = Bench()
    bench.link.abort("over")
    _, mailbox = bench.link.submit(CHAT)
    bench.link.send(Shutdown())
    assert bench.wire.sent == []
    assert bench.link.waiting == 0
    _, error = await read(mailbox)
    assert error is not None
    assert error.code is Code.UNAVAILABLE


async def test_what_cannot_be_sent_is_not_waited_for() -> None:
    bench = Bench()
    with pytest.raises(UnicodeEncodeError):
        bench.link.submit(Chat(messages=(Message("user", "\ud800"),)))
    assert bench.link.waiting == 0


async def test_what_no_frame_can_hold_is_refused_and_never_sent() -> None:
    bench = Bench()
    with pytest.raises(ServeError, match="up to 64 MiB") as caught:
        bench.link.submit(Transcribe(audio=bytes(MAX_FRAME_BYTES)))
    assert caught.value.code is Code.TOO_LARGE
    assert (bench.wire.sent, bench.link.waiting) == ([], 0)
    bench.link.submit(Transcribe(audio=bytes(MAX_FRAME_BYTES - 1000)))
    await asyncio.sleep(0)
    assert len(bench.wire.sent) == 1


async def test_the_wait_for_the_first_step_is_told_once_and_before_all_else() -> None:
    bench = Bench()
    before_ns = time.monotonic_ns()
    request_id, mailbox = bench.link.submit(CHAT)
    begin_ns = (after_ns := time.monotonic_ns()) + 50_000_000
    computed = [(request_id, 3, 0)]
    for text in ("a", "b"):
        events: list[HostEvent] = [Delta(0, text, 1)]
        bench.link.data_received(
            encode(Step(7, begin_ns, begin_ns + 1, 1, computed, [(request_id, events)]))
        )
    began = await mailbox.get()
    assert isinstance(began, Began)
    assert begin_ns - after_ns <= began.queued_s * 1e9 <= begin_ns - before_ns
    assert await mailbox.get() == Delta(0, "ab", 2)


@pytest.mark.parametrize("way", ["read", "failed", "leave", "end", "wait"])
async def test_a_step_is_in_the_books_before_a_request_of_it_can_settle(way: str) -> None:
    bench = Bench()
    request_id, mailbox = bench.link.submit(CHAT)
    events: list[HostEvent] = [Delta(0, "a", 1), FAILURE if way == "failed" else Usage()]
    bench.receive(step(request_id, *events[: 1 + (way in {"read", "failed"})]))
    assert await mailbox.get() == Delta(0, "a", 1)
    assert bench.steps == [], "tokens go first"
    if way == "leave":
        bench.link.forget(request_id)
    elif way == "end":
        bench.link.abort("it ended")
    elif way == "wait":
        await asyncio.sleep(0)
    else:
        with suppress(ServeError):
            await mailbox.get()
    assert len(bench.steps) == 1


async def test_a_step_after_which_nothing_runs_is_booked_while_others_still_wait() -> None:
    waiting: list[int] = []
    ours = Link(
        7, lambda _link: None, lambda _step: waiting.append(ours.waiting), lambda _text: None
    )
    asked = [ours.submit(CHAT)[0] for _ in range(2)]
    ours.data_received(b"".join(encode(step(one, Usage(), running=0)) for one in asked))
    assert waiting == [1, 0]


def link() -> Link:
    return Link(1, lambda _link: None, lambda _step: None, lambda _text: None)


async def test_each_question_gets_its_own_answer() -> None:
    ours = link()
    asked = [asyncio.create_task(ours.lex(Tokenize(text))) for text in ("a", "b", "c")]
    await asyncio.sleep(0)
    for number in (2, 1):
        ours.data_received(encode(Told(number, Lexed(str(number)))))
    ours.data_received(encode(Told(3, Failure(Code.INVALID_ARGUMENT, "no", "model"))))
    assert [(await one).text for one in asked[:2]] == ["1", "2"]
    with pytest.raises(ServeError, match="no") as refused:
        await asked[2]
    assert refused.value.param == "model"
    ours.data_received(encode(Told(3, Lexed("twice"))))  # of which nobody knows any more


async def test_questions_end_with_the_host_and_are_not_without_number() -> None:
    ours = link()
    asked = [asyncio.create_task(ours.lex(Tokenize("a"))) for _ in range(MAX_ASKED)]
    await asyncio.sleep(0)
    asked[0].cancel()  # the host works on it all the same
    with pytest.raises(ServeError, match="too many") as refused:
        await ours.lex(Tokenize("a"))
    assert refused.value.retry_after_s
    ours.data_received(encode(Told(1, Lexed("late"))))
    asked.append(asyncio.create_task(ours.lex(Tokenize("a"))))
    await asyncio.sleep(0)
    ours.abort("gone")
    ends = await asyncio.gather(*asked[1:], return_exceptions=True)
    assert {type(one) for one in ends} == {ServeError}
    with pytest.raises(ServeError):
        await ours.lex(Tokenize("a"))
