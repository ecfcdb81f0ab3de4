"""A draft has one reader at a time, who gets exactly what the model wrote behind what was typed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.drafts import MAX_CHARACTERS, Diverged, Draft, Reading
from hexkey.errors import Code, ServeError
from hexkey.types import Began, Delta, Event, Finish, FinishReason, Usage
from tests.waiting import soon

if TYPE_CHECKING:
    from hexkey.charge import Charge

STOP = Finish(0, FinishReason.STOP)


class Model:
    """Writes when told to; ``closed`` counts how often it was ended, ``read`` what was asked."""

    def __init__(self, *events: Event | Began | ServeError) -> None:
        self.written: asyncio.Queue[Event | Began | ServeError] = asyncio.Queue()
        self.closed = 0
        self.write(*events)

    def write(self, *events: Event | Began | ServeError) -> None:
        for event in events:
            self.written.put_nowait(event)

    async def next_event(self) -> Event | Began:
        event = await self.written.get()
        if isinstance(event, ServeError):
            raise event
        return event

    async def close(self) -> None:
        self.closed += 1


def reading(model: Model, deadline: float | None = None) -> Reading:
    return Reading(Draft(model, "m", cast("Charge", object()), deadline))


async def text(of: Reading) -> str:
    """Read to the end."""
    parts = []
    while type(event := await of.next_event()) is not Usage:
        if type(event) is Delta:
            parts.append(event.text)
    with pytest.raises(StopAsyncIteration):
        await of.next_event()
    return "".join(parts)


def words(written: str) -> list[Event]:
    return [Delta(0, character, 1) for character in written]


async def test_alone_it_gives_what_the_model_writes() -> None:
    model = Model(Began(0.1), *words("abc"), STOP, Usage(1, 3))
    one = reading(model)
    assert await text(one) == "abc"
    await one.close()
    assert model.closed == 1


@given(
    written=st.text("ab", max_size=6),
    typed=st.lists(st.text("ab", max_size=3), max_size=3),
    before=st.integers(0, 8),
)
def test_a_newer_reader_gets_the_rest_or_is_told_to_ask_anew(
    written: str, typed: list[str], before: int
) -> None:
    async def play() -> None:
        model = Model(Began(0.1))
        one = reading(model)
        script = [*words(written), STOP]
        model.write(*script[:before])
        seen = len(script[:before])
        for _ in range(1 + seen):
            await asyncio.wait_for(one.next_event(), 20)
        whole, given_up, first = "", False, one
        for more in typed:
            newer = one.pass_on(more, None)
            if newer is None:
                given_up = True
                break
            assert one.passed_on
            await one.close()
            one, whole = newer, whole + more
        model.write(*script[before:], Usage(1, len(written)))
        rest = written[seen if one is first else len(whole) :]
        try:
            assert (await asyncio.wait_for(text(one), 20)) == rest
            assert written.startswith(whole)
        except Diverged:
            assert whole or not rest
            assert not written.startswith(whole) or not rest
        if given_up:
            whole += more
            known = written[:before]
            fits = known.startswith(whole) or (before <= len(written) and whole.startswith(known))
            assert not fits or not known[len(whole) :].strip() or not known
        assert model.closed == 0
        await one.close()
        assert model.closed == 1

    asyncio.run(play())


async def test_who_passed_it_on_ends_nothing_by_leaving() -> None:
    model = Model(*words("abc"))
    older = reading(model)
    waiting = asyncio.create_task(text(older))
    await soon(lambda: "".join(older._draft._parts) == "abc")
    newer = older.pass_on("ab", None)
    assert newer is not None
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await older.close()
    assert model.closed == 0
    assert older.pass_on("", None) is None
    model.write(*words("d"), STOP, Usage())
    assert await text(newer) == "cd"
    await newer.close()
    assert model.closed == 1


async def test_nothing_is_lost_where_the_older_reader_is_ended_as_an_event_comes() -> None:
    model = Model()
    older = reading(model)
    waiting = asyncio.create_task(older.next_event())
    await asyncio.sleep(0)
    model.write(*words("a"))
    await asyncio.sleep(0)
    waiting.cancel()
    newer = older.pass_on("", None)
    await asyncio.gather(waiting, return_exceptions=True)
    assert newer is not None
    model.write(*words("b"), STOP, Usage())
    assert await text(newer) == "ab"
    await newer.close()


async def test_a_deadline_is_the_last_readers() -> None:
    loop = asyncio.get_running_loop()
    model = Model()
    older = reading(model, loop.time() + 0.02)
    newer = older.pass_on("", None)
    assert newer is not None
    await asyncio.sleep(0.05)
    assert model.closed == 0
    last = newer.pass_on("", loop.time() + 0.02)
    assert last is not None
    with pytest.raises(ServeError) as caught:
        await last.next_event()
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    # At once, and not when the reader leaves.
    await soon(lambda: model.closed == 1)
    assert last.pass_on("", None) is None
    await last.close()
    assert model.closed == 1


async def test_what_fails_fails_its_reader() -> None:
    model = Model(*words("a"), ServeError(Code.UNAVAILABLE, "gone"))
    one = reading(model)
    await one.next_event()
    with pytest.raises(ServeError, match="gone"):
        await one.next_event()
    await one.close()
    assert model.closed == 1


async def test_a_long_answer_stays_with_who_asked() -> None:
    model = Model(Delta(0, "a" * (MAX_CHARACTERS + 1), 1))
    one = reading(model)
    await one.next_event()
    assert one.pass_on("a", None) is None
    await one.close()


async def test_an_end_that_is_cancelled_comes_all_the_same() -> None:
    model = Model()
    one = reading(model)
    await asyncio.sleep(0)
    ending = asyncio.create_task(one.close())
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)
    await one.close()
    assert model.closed == 1
