"""``/dashboard/feed``: one snapshot a second, made once for all who look, never for nobody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import structlog

from hexkey.errors import Code, ServeError
from hexkey.vitals.monitor import Monitor
from hexkey.vitals.snapshot import without_costs, without_spend
from hexkey.wire.http.presence import Presence
from hexkey.wire.http.stream import HEADERS, SSE

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.vitals.snapshot import Snapshot
    from hexkey.wire.http.exchange import Exchange

MAX_VIEWERS = 32
EVERY_S = 1.0

Mailbox = asyncio.Queue[bytes | None]

log = structlog.get_logger("hexkey.dashboard")


class Feed:
    """The viewers and, for as long as there are some, the task that looks for them.

    A viewer has a mailbox of one: who reads slowly misses snapshots and holds nobody up. Those who
    may not see costs get none.
    """

    def __init__(self, service: Service) -> None:
        self._monitor = Monitor(service.metrics, service.pool)
        self._billing = service.pool.billing
        self._viewers: dict[Mailbox, bool] = {}
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def looking(self) -> bool:
        """Whether snapshots are being made."""
        return self._task is not None

    async def serve(self, exchange: Exchange, service: Service) -> None:  # noqa: ARG002 - a handler's signature
        """Send the history, then each snapshot, until the viewer leaves or the server stops."""
        if self._closed:
            raise ServeError(Code.UNAVAILABLE, "the server is stopping", reason="STOPPING")
        if len(self._viewers) >= MAX_VIEWERS:
            raise ServeError(
                Code.UNAVAILABLE,
                f"{len(self._viewers)} pages look at this server already; close one",
                reason="TOO_MANY_VIEWERS",
            )
        mailbox: Mailbox = asyncio.Queue(1)
        costs = self._billing.may_see_cost(exchange.caller)
        points = self._monitor.points
        history = _event(b"history", list(points if costs else map(without_spend, points)))
        self._enter(mailbox, costs=costs)
        try:
            async with Presence(exchange.line):
                exchange.framing = SSE
                await exchange.start(200, ((b"content-type", SSE.content_type), *HEADERS))
                await exchange.write(history, more=True)
                while (event := await mailbox.get()) is not None:
                    await exchange.write(event, more=True)
                await exchange.write(b"", more=False)
        finally:
            self._leave(mailbox)

    def close(self) -> None:
        """End all streams; a server that stops does not wait for those who look at it."""
        self._closed = True
        # A look under way would put its snapshot in the place of the end.
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._publish(None)

    def _enter(self, mailbox: Mailbox, *, costs: bool) -> None:
        self._viewers[mailbox] = costs
        if self._task is None:
            self._task = asyncio.create_task(self._look(), name="dashboard")

    def _leave(self, mailbox: Mailbox) -> None:
        self._viewers.pop(mailbox, None)
        if not self._viewers and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while True:
                # Thousands of series take milliseconds, which tokens on their way must not wait.
                self._publish(await asyncio.to_thread(self._monitor.look))
                due = max(due + EVERY_S, loop.time())
                await asyncio.sleep(due - loop.time())
        except Exception as error:
            log.exception("unforeseen", error=type(error).__name__)
            self._publish(None)
            self._task = None

    def _publish(self, snapshot: Snapshot | None) -> None:
        """Put a snapshot into every mailbox, or the end."""
        for costs in {*self._viewers.values()}:
            event = None
            if snapshot is not None:
                event = _event(b"snapshot", snapshot if costs else without_costs(snapshot))
            for mailbox in [one for one, may in self._viewers.items() if may is costs]:
                if mailbox.full():
                    mailbox.get_nowait()
                mailbox.put_nowait(event)


def _event(name: bytes, data: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, msgspec.json.encode(data))
