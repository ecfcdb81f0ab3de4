from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.wire.grpc.grpc_house import House, open_house

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    """One server for a module's tests; whoever stops or breaks one opens its own."""
    async with open_house() as opened:
        yield opened
