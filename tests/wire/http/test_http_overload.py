"""More than an engine can serve: the queue is bounded, the urgent get through, all settle."""

from __future__ import annotations

import asyncio
from collections import Counter

from hexkey.config import QueueConfig
from tests.unit.test_metering import value
from tests.wire.http.http_house import open_house

PLACES, WAITING, REQUESTS = 4, 8, 60
# Whoever is let in stays for 0.4 s: the whole flood comes before many have left.
BODY = {"model": "acme/slow", "prefix": "x", "max_tokens": 20}


async def test_a_flood_is_bounded_and_the_urgent_get_through() -> None:
    queue = QueueConfig(concurrency=PLACES, headroom=0.25, max_requests=WAITING)
    async with open_house(queue=queue) as house, house.client() as client:
        gate, deepest = house.service._gate, 0
        statuses: dict[str, Counter[int]] = {"normal": Counter(), "interactive": Counter()}

        async def ask(priority: str) -> None:
            nonlocal deepest
            answer = await client.post("/v1/autocomplete", json={**BODY, "priority": priority})
            statuses[priority][answer.status_code] += 1
            deepest = max(deepest, gate.waiting("acme/slow"))
            assert gate.running("acme/slow") <= PLACES
            if answer.status_code == 503:
                assert answer.json()["error"]["code"] == "overloaded"
                assert int(answer.headers["retry-after"]) >= 1

        flood = [asyncio.create_task(ask("normal")) for _ in range(REQUESTS)]
        await house.busy("acme/slow")
        urgent = [asyncio.create_task(ask("interactive")) for _ in range(WAITING)]
        await asyncio.gather(*flood, *urgent)
        assert statuses["interactive"] == {200: WAITING}
        assert set(statuses["normal"]) == {200, 503}
        assert statuses["normal"].total() == REQUESTS
        assert deepest <= WAITING
        assert gate.running("acme/slow") == gate.waiting("acme/slow") == 0
        refused = value(house.service.metrics, "rejected_total", reason="overloaded")
        assert refused == statuses["normal"][503]
