"""The host's loop for an engine whose steps another process computes.

A frame leaves only after that process was heard of: with its step, or in answer to a ping while
nothing runs. So here too a frame proves progress, and the front end finds a core that hangs by the
same silence as a host that does. What ``add`` refuses waits for the next frame for this reason.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from hexkey.engines.base import Adaptable, EngineLost
from hexkey.engines.docket import Docket
from hexkey.engines.frames import PULSE_S, Adapt, Adapted, Ask, Ready, Scrape, Shutdown
from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from hexkey.engines.base import AsyncEngine
    from hexkey.engines.docket import Events
    from hexkey.engines.host import Channel


class AsyncHost:
    """Drives one engine in the running event loop."""

    def __init__(self, engine: AsyncEngine, channel: Channel, incarnation: int) -> None:
        self._engine = engine
        self._channel = channel
        self._incarnation = incarnation
        self._docket = Docket(engine, incarnation)
        self._refused: list[Events] = []
        # Answered after the next frame, for the same reason.
        self._scraped = False
        self._asked: list[Ask] = []
        self._due = asyncio.Event()
        self._adapting: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Warm up, say that the model serves, and work until told to end.

        An exception of the engine fails what is in and is raised; raises ``EOFError`` when the
        front end has gone.
        """
        try:
            await self._engine.start()
        except (EngineLost, ModelError):
            raise
        except Exception as error:  # no user's text is about yet
            raise ModelError(f"{type(error).__name__}: {error}") from error
        self._channel.send(Ready(self._incarnation, self._engine.info, self._engine.workers))
        loop = asyncio.get_running_loop()
        end: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._channel.fileno(), self._read, end)
        tasks = [asyncio.create_task(self._step()), asyncio.create_task(self._pulse())]
        try:
            done, _ = await asyncio.wait([end, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        except (EngineLost, EOFError, OSError):
            raise
        except Exception as error:
            self._channel.send(self._docket.failed(error))
            raise
        finally:
            loop.remove_reader(self._channel.fileno())
            tasks += self._adapting
            for task in tasks:
                task.cancel()
            for task in tasks:
                # Both are over or were just told to be; the first exception is on its way.
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    def _read(self, end: asyncio.Future[None]) -> None:
        """Take what came in; called by the loop."""
        if end.done():
            return
        try:
            messages = self._channel.receive(0)
        except (EOFError, OSError) as error:
            end.set_exception(error)
            return
        for message in messages:
            if isinstance(message, Shutdown):
                end.set_result(None)
                return
            if isinstance(message, Scrape):
                self._scraped = True
                continue
            if isinstance(message, Adapt):
                task = asyncio.create_task(self._adapt(message))
                self._adapting.add(task)
                task.add_done_callback(self._adapting.discard)
                continue
            if isinstance(message, Ask):
                self._asked.append(message)
                continue
            try:
                self._refused += self._docket.take(message)
            except Exception as error:  # noqa: BLE001 - as one of a step: it is raised in serve
                end.set_exception(error)
                return
        if not self._engine.running:
            self._due.set()

    async def _adapt(self, message: Adapt) -> None:
        """Change what the engine holds; that it answers is progress too."""
        error = ""
        try:
            if not isinstance(self._engine, Adaptable):
                raise ModelError("this engine has no adapters")
            await self._engine.adapt(message.adapter, hold=message.hold)
        except EngineLost:
            return  # told by the step that waits for it
        except ModelError as refusal:
            error = str(refusal)
        self._channel.send(Adapted(message.adapter, error))

    async def _step(self) -> None:
        while True:
            report = await self._engine.step()
            refused, self._refused = self._refused, []
            self._channel.send(self._docket.frame(report, refused))
            self._answer()

    async def _pulse(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PULSE_S):
                    await self._due.wait()
            self._due.clear()
            if self._engine.running:
                continue
            await self._engine.ping()
            refused, self._refused = self._refused, []
            self._channel.send(self._docket.pulse(refused))
            self._answer()

    def _answer(self) -> None:
        if self._scraped:
            self._scraped = False
            self._channel.send(self._docket.reply(Scrape()))
        asked, self._asked = self._asked, []
        for one in asked:
            self._channel.send(self._docket.reply(one))
