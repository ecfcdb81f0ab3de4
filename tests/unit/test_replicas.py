"""One bad replica of three: callers hardly see it, and where all are bad none is given up."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from msgspec.structs import replace

from hexkey.circuit import MAX_PAUSE_S
from hexkey.errors import Code, ServeError
from hexkey.routing import Policy, PolicyName, Rules
from hexkey.types import Began, Delta, Task
from tests.unit.requests import request
from tests.unit.test_fallback import GONE, GOOD, House

UNSEEN = [Began(0.0), ServeError(Code.INTERNAL, "a bug")]
SEEN = [Began(0.0), Delta(0, "a", 1), GONE]
EACH = Policy(PolicyName.WEIGHTED, dict.fromkeys("abc", 1))
LASTS_S = 65


class Day:
    """Requests at a rate, on a clock of its own."""

    def __init__(self, house: House, policy: Policy, per_s: int) -> None:
        self.now = 0.0
        self.per_s = per_s
        self.house = house
        house.service.rules = Rules({Task.CHAT: policy})
        house.service.board._clock = lambda: self.now

    async def goes_on(self, seconds: float, bad: str, how: list[object]) -> Counter[str]:
        """Half of what a bad model does fails; returns the outcomes, and who served how often."""
        rng, seen = random.Random(7), Counter[str]()  # noqa: S311 - a lot, no secret
        for _ in range(round(seconds * self.per_s)):
            self.now += 1 / self.per_s
            for model in bad:
                fails = rng.random() < 0.5
                self.house.pool.scripts[model] = how if fails else GOOD  # type: ignore[assignment]
            try:
                seen[await self.ask()] += 1
            except ServeError:
                seen["error"] += 1
        return seen

    async def ask(self) -> str:
        one = replace(request(), id=str(self.now))
        async with self.house.service.run(one) as run:
            async for _ in run:
                pass
            return run.model


@pytest.mark.parametrize("per_s", [5, 50])
@pytest.mark.parametrize("policy", [Policy(), EACH], ids=["first", "each"])
@pytest.mark.parametrize("how", [UNSEEN, SEEN], ids=["unseen", "seen"])
async def test_a_bad_one_of_three_is_hardly_seen_after_five_seconds(
    policy: Policy, how: list[object], per_s: int
) -> None:
    day = Day(House(), policy, per_s)
    await day.goes_on(5, "a", how)
    day.house.pool.attempts.clear()
    seen = await day.goes_on(LASTS_S - 5, "a", how)
    assert seen["error"] < 0.02 * seen.total()
    looks = day.house.pool.attempts.count("a")
    assert 0 < looks < 0.05 * seen.total(), "it is looked at again, and no more than that"
    day.house.pool.scripts.clear()
    await day.goes_on(MAX_PAUSE_S + 1, "", how)
    well = await day.goes_on(10, "", how)
    assert well["a"] >= (0.2 if policy is EACH else 1) * well.total(), "it is trusted again"


@pytest.mark.parametrize("policy", [Policy(), EACH], ids=["first", "each"])
async def test_where_all_are_bad_they_serve_what_they_can(policy: Policy) -> None:
    day = Day(House(), policy, 20)
    seen = await day.goes_on(LASTS_S, "abc", SEEN)
    assert 0.4 * seen.total() < seen["error"] < 0.6 * seen.total()
    assert all(seen[model] for model in "abc")
    assert day.house.balanced()
