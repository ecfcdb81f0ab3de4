from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio
import uvloop

from tests.wire.http.http_house import House, open_house

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Mapping


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    """One server for a module's tests; whoever stops or breaks one opens its own."""
    async with open_house() as opened:
        yield opened
