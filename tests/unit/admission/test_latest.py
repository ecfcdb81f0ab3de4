"""Latest wins: the older one ends at once wherever it is, and only it, and only for that reason."""

from __future__ import annotations

import asyncio

import pytest

from hexkey.admission.latest import Latest
from hexkey.errors import Code, ServeError


async def run(
    latest: Latest, seconds: float = 60.0, key: tuple[str, str] = ("t", "s")
) -> BaseException | None:
    """Hold a session while asleep; return what that ended with."""
    claim = latest.claim(*key)
    caught: BaseException | None = None
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError as error:
        caught = error
    return claim.close(caught)


async def started(latest: Latest, key: tuple[str, str] = ("t", "s")) -> asyncio.Task[object]:
    task: asyncio.Task[object] = asyncio.create_task(run(latest, key=key))
    await asyncio.sleep(0)
    return task


async def test_the_newer_request_ends_the_older_one() -> None:
    latest = Latest()
    older = await started(latest)
    assert await run(latest, 0.0) is None
    error = await older
    assert isinstance(error, ServeError)
    assert (error.code, error.reason) == (Code.SUPERSEDED, "SUPERSEDED")
    assert not older.cancelled()
    assert older.cancelling() == 0
    assert len(latest) == 0


async def test_other_sessions_and_other_tenants_go_on() -> None:
    latest = Latest()
    others = [await started(latest, key) for key in (("t", "other"), ("other", "s"))]
    await run(latest, 0.0)
    assert not any(task.done() for task in others)
    for task in others:
        task.cancel()
        assert isinstance(await task, asyncio.CancelledError)
    assert len(latest) == 0


async def test_of_many_only_the_last_one_lives() -> None:
    latest = Latest()
    tasks = [await started(latest) for _ in range(20)]
    assert await run(latest, 0.0) is None
    ends = await asyncio.gather(*tasks)
    assert all(isinstance(error, ServeError) for error in ends)
    assert len(latest) == 0


async def test_one_who_is_cancelled_from_elsewhere_as_well_is_cancelled() -> None:
    latest = Latest()
    older = await started(latest)
    older.cancel()
    await run(latest, 0.0)
    assert isinstance(await older, asyncio.CancelledError)
    assert older.cancelling() == 1


async def test_what_is_over_cannot_be_superseded() -> None:
    latest = Latest()
    assert await run(latest, 0.0) is None
    assert await run(latest, 0.0) is None


async def test_another_error_in_that_moment_stays_what_it_is() -> None:
    latest = Latest()

    async def fail() -> BaseException | None:
        claim = latest.claim("t", "s")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return claim.close(ValueError("a bug"))
        pytest.fail("it was cancelled")

    older = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await run(latest, 0.0)
    assert isinstance(await older, ValueError)
    assert older.cancelling() == 0
