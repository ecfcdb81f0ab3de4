"""Adapters that come and go while their base serves."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from hexkey.engines.adapters import Adapters
from hexkey.engines.link import Link
from hexkey.errors import Code, ServeError


class Recorder:
    """A link that notes what it is told, takes its time over it, and refuses where it is to."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.told: list[tuple[str, bool]] = []
        self.go = asyncio.Event()
        self.go.set()
        self._refuses = refuses

    async def adapt(self, adapter: str, *, hold: bool) -> None:
        self.told.append((adapter, hold))
        await self.go.wait()
        if self._refuses:
            raise ServeError(Code.UNAVAILABLE, "no room")


def link_of(recorder: Recorder) -> Link:
    return cast("Link", recorder)


async def test_a_request_loads_again_what_was_unloaded_and_only_that() -> None:
    adapters, recorder = Adapters(["one", "two"]), Recorder()
    link = link_of(recorder)
    await adapters.unload("one", link)
    await adapters.unload("one", link)
    assert (adapters.holds("one"), adapters.holds("two"), adapters.holds("")) == (False, True, True)
    for name in ("", "two", "one", "one"):
        await adapters.ensure(name, link, None)
    assert recorder.told == [("one", False), ("one", True)]
    assert adapters.holds("one")


async def test_who_asks_while_it_is_unloaded_waits_for_it_to_come_back() -> None:
    adapters, recorder = Adapters(["one"]), Recorder()
    recorder.go.clear()
    unloading = asyncio.create_task(adapters.unload("one", link_of(recorder)))
    await asyncio.sleep(0)
    asking = asyncio.create_task(adapters.ensure("one", link_of(recorder), None))
    late = adapters.ensure("one", link_of(recorder), asyncio.get_running_loop().time() + 0.01)
    with pytest.raises(ServeError, match="deadline") as caught:
        await late
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert not asking.done()
    recorder.go.set()
    await asyncio.gather(unloading, asking)
    assert recorder.told == [("one", False), ("one", True)]


async def test_a_new_host_lets_go_of_what_was_unloaded() -> None:
    adapters, old, new = Adapters(["one", "two"]), Recorder(), Recorder()
    await adapters.unload("two", link_of(old))
    await adapters.settle(link_of(new))
    assert new.told == [("two", False)]
    await adapters.load("two", None)  # no host serves: the next one comes with it
    await adapters.settle(link_of(new))
    assert new.told == [("two", False)]


async def test_what_the_engine_refuses_is_told_and_stays_out() -> None:
    adapters = Adapters(["one"])
    await adapters.unload("one", None)
    with pytest.raises(ServeError, match="no room"):
        await adapters.load("one", link_of(Recorder(refuses=True)))
    assert not adapters.holds("one")
    with pytest.raises(ValueError, match="no adapter other"):
        await adapters.unload("other", None)
