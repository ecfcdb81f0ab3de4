"""Keeps one model served: starts its host, watches that it makes progress, starts it anew."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import structlog

from hexkey.engines.adapters import Adapters
from hexkey.engines.backoff import Backoff
from hexkey.engines.frames import Launch
from hexkey.engines.hosting import HostSettings, Observer, State
from hexkey.engines.link import Link
from hexkey.engines.process import HostProcess, ending
from hexkey.engines.watch import watch
from hexkey.errors import Code, ServeError
from hexkey.types import PLAIN, Began, Failure, Terms, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from hexkey.engines.link import Mailbox
    from hexkey.types import Event, ModelInfo, Request

    Submitted = Callable[[int, int], None]

__all__ = ["HostSettings", "Observer", "State", "Supervisor"]

REAP_S = 2.0
RESTART_WAIT_S = 30.0
"""How long a request waits for a host that is being replaced."""
POLL_S = 0.02

log = structlog.get_logger("hexkey.engine")

_WAITED_FOR = {State.STOPPED, State.LOADING, State.BACKOFF, State.READY, State.DRAINING}


class Supervisor:
    """One model's host through all its launches.

    ``start`` returns once the model serves or raises why it cannot; from then on a task owned
    here restarts the host whenever it ends or stalls, with growing pauses.
    """

    def __init__(self, settings: HostSettings, observer: Observer | None = None) -> None:
        self.settings = settings
        self.state = State.STOPPED
        self.info: ModelInfo | None = None
        self.error: str = ""
        self._reason: str | None = None
        self._observer = observer or Observer()
        self.users = 0
        """Requests that run, or wait for the host."""
        self.last_used = time.monotonic()
        self.adapters = Adapters(settings.adapters)
        self._host: HostProcess | None = None
        self._changed = asyncio.Event()
        self._incarnation = 0
        self._backoff = Backoff()
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the host under way."""
        return self._host.pid if self._host else None

    @property
    def running(self) -> int:
        """Requests in the engine, as its last step said."""
        return self._host.link.running if self._host else 0

    @property
    def waiting(self) -> int:
        """Requests sent to the host and not settled."""
        return self._host.link.waiting if self._host else 0

    async def start(self) -> None:
        """Launch the host and wait until the model serves; ``ServeError`` where it cannot."""
        self._set(State.LOADING)
        try:
            await self._launch()
        except BaseException:
            await self._end_host()
            raise
        self._task = asyncio.create_task(self._keep(), name=f"supervise {self.settings.model}")

    async def stop(self) -> None:
        """End the host; what is under way fails with UNAVAILABLE."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
        await self._end_host()
        self._set(State.STOPPED)

    async def drain(self, grace_s: float) -> None:
        """Return when the engine has nothing left, or after ``grace_s``; new requests wait."""
        if self.state is State.READY:
            self._set(State.DRAINING)
        await _until(lambda: not self.waiting, grace_s)

    async def idle(self, grace_s: float) -> None:
        """Return when no request runs or waits here, or after ``grace_s``."""
        await _until(lambda: not self.users, grace_s)

    def give_up(self, error: Exception) -> None:
        """The model cannot be loaded now; requests are told why."""
        self.error = str(error)
        self._reason = getattr(error, "reason", None)
        self._set(State.FAILED)

    async def run(
        self,
        request: Request,
        submitted: Submitted = lambda _host_id, _sent_ns: None,
        complete: Callable[[Usage], None] = lambda _usage: None,
        terms: Terms = PLAIN,
        elsewhere: Callable[[], bool] = lambda: False,
    ) -> AsyncGenerator[Event | Began, None]:
        """Yield a request's events until its ``Usage``; raises ``ServeError`` where it fails.

        A request whose host ended before any event came is submitted once more to the next host:
        nobody has seen anything of it, so nothing can be seen twice. ``submitted`` is told, each
        time, what the host calls the request and since when it has it (monotonic ns);
        ``complete``, that the engine is through with it. Where it would wait for a host,
        ``elsewhere`` is asked first; True means that the caller has a better place for it:
        UNAVAILABLE is raised.
        """
        self.users += 1
        try:
            for last_try in (True,) if request.again else (False, True):
                link = await self._ready_link(request.deadline, elsewhere)
                await self.adapters.ensure(terms.adapter, link, request.deadline)
                # Before it is sent: a quick host can be done before we are scheduled again.
                sent_ns = time.monotonic_ns()
                request_id, mailbox = link.submit(
                    request.payload, complete, terms, whole=request.whole
                )
                submitted(request_id, sent_ns)
                timer = _deadline_timer(request.deadline, link, request_id, mailbox)
                seen = False
                try:
                    while True:
                        event = await mailbox.get()
                        seen = seen or type(event) is not Began
                        yield event
                        if type(event) is Usage:
                            return
                except ServeError as error:
                    lost = link.closed and error.code is Code.UNAVAILABLE
                    if seen or last_try or not lost:
                        error.lost = lost and not last_try
                        raise
                finally:
                    if timer is not None:
                        timer.cancel()
                    link.forget(request_id)
        finally:
            self.users -= 1
            self.last_used = time.monotonic()

    async def adapt(self, adapter: str, *, hold: bool) -> None:
        """Take an adapter into memory or out of it; ``ServeError`` where that cannot be."""
        change = self.adapters.load if hold else self.adapters.unload
        await change(adapter, self._link())

    async def link(self, *, wait: bool) -> Link:
        """Return our end of the serving host; ``ServeError`` where it is away.

        With ``wait`` a start is waited for, and begun, as for a request.
        """
        return await self._ready_link(None, lambda: not wait)

    async def _ready_link(self, deadline: float | None, elsewhere: Callable[[], bool]) -> Link:
        """Return the serving link; a start is waited for, unless the last ones failed too."""
        if (link := self._link()) is not None:
            return link
        if elsewhere():
            raise self._away()
        loop = asyncio.get_running_loop()
        wanted = self._observer.wanted
        # Without a task nothing served before: also where another request has begun the load.
        cold = self._task is None or self.state is State.DRAINING
        wait_s = self.settings.cold_start_s if cold else RESTART_WAIT_S
        until = min(deadline or float("inf"), loop.time() + wait_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                while not self._backoff.hopeless and self.state in _WAITED_FOR:
                    if self.state is State.STOPPED:
                        if wanted is None:
                            break
                        wanted(self.settings.model)
                    self._changed.clear()
                    await self._changed.wait()
                    if (link := self._link()) is not None:
                        return link
        if deadline is not None and loop.time() >= deadline:
            raise ServeError(Code.DEADLINE_EXCEEDED, "the deadline passed before the model served")
        if self.state is State.FAILED and wanted is not None:
            # For those who come later; this one has its answer.
            wanted(self.settings.model)
        raise self._away()

    def _link(self) -> Link | None:
        """The link of a host that serves."""
        host = self._host
        serves = self.state is State.READY and host is not None and not host.link.closed
        return host.link if serves and host is not None else None

    def _away(self) -> ServeError:
        failed = self.state is State.FAILED
        why = f": {self.error}" if self.error and failed else ""
        return ServeError(
            Code.UNAVAILABLE,
            f"model {self.settings.model!r} does not serve now (state: {self.state}){why}",
            reason=self._reason if failed else None,
            retry_after_s=5.0,
        )

    async def _launch(self) -> None:
        settings = self.settings
        self._incarnation += 1
        incarnation = self._incarnation
        launch = Launch(
            incarnation,
            settings.engine,
            settings.model,
            settings.folder,
            settings.options,
            settings.adapters,
        )
        observer, model = self._observer, settings.model
        self._host = await HostProcess.start(
            launch,
            lambda: Link(
                incarnation,
                on_change=lambda _link: self._changed.set(),
                on_step=lambda step: observer.step(model, step),
                on_loading=lambda text: observer.progress(model, text),
            ),
        )
        link = self._host.link
        try:
            async with asyncio.timeout(settings.load_timeout_s):
                while link.ready is None and link.refused is None and not link.closed:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise self._cannot(f"not loaded after {settings.load_timeout_s:g} s") from None
        if link.refused is not None:
            raise self._cannot(link.refused)
        if link.ready is None:
            raise self._cannot(f"its process ended while loading: {ending(await self._reap())}")
        self.info = link.ready.info
        await self.adapters.settle(link)
        self.error, self._reason = "", None
        self._backoff.served()
        self._set(State.READY)

    def _cannot(self, why: str) -> ServeError:
        self.error, self._reason = why, None
        self._set(State.FAILED)
        return ServeError(Code.UNAVAILABLE, f"model {self.settings.model!r} cannot load: {why}")

    async def _keep(self) -> None:
        """Restart the host for as long as this supervisor lives."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            host = self._host
            reason = "exit" if host is None else await watch(host, self.settings.stall_timeout_s)
            self._backoff.ended(loop.time() - began)
            while True:
                pause = self._backoff.pause()
                self._observer.restart(self.settings.model, reason)
                log.warning("engine restarts", model=self.settings.model, reason=reason, in_s=pause)
                self._set(State.BACKOFF)
                ended = await self._tried(self._end_host)
                await asyncio.sleep(pause)
                self._set(State.LOADING)
                if ended and await self._tried(self._launch):
                    break
                reason = "load"

    async def _tried(self, part: Callable[[], Awaitable[None]]) -> bool:
        """Do a part of a restart; False where it fails, however: nobody else would try again."""
        try:
            await part()
        except Exception as error:  # noqa: BLE001 - it may pass: memory comes back, or a file
            log.error(
                "engine failed to start",
                model=self.settings.model,
                why=str(error),
                kind=type(error).__name__,
            )
            self._backoff.failed()
            return False
        return True

    async def _reap(self) -> int | None:
        if self._host is None:
            return None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REAP_S):
                return await self._host.wait()
        self._host.kill()
        return await self._host.wait()

    async def _end_host(self) -> None:
        host = self._host
        if host is None:
            return
        # It stays ours until it is gone, so that who cancels this can end it again.
        if host.link.closed or host.returncode is not None:
            host.kill()
            host.link.abort("the engine's process ended while it served this request")
            await host.wait()
        else:
            await host.stop()
        # Only now, so that one who is cancelled here leaves it to the next to wait for the end.
        self._host = None

    def _set(self, state: State) -> None:
        self.state = state
        self._changed.set()
        self._observer.state(self.settings.model, state)


async def _until(true: Callable[[], bool], grace_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(grace_s):
            while not true():  # noqa: ASYNC110 - settling has no event, and this is rare
                await asyncio.sleep(POLL_S)


def _deadline_timer(
    deadline: float | None, link: Link, request_id: int, mailbox: Mailbox
) -> asyncio.TimerHandle | None:
    if deadline is None:
        return None

    def stop() -> None:
        mailbox.fail(
            Failure(Code.DEADLINE_EXCEEDED, "the deadline passed before the answer was complete")
        )
        # Now, and not once a caller who may read slowly has found the failure.
        link.forget(request_id)

    return asyncio.get_running_loop().call_at(deadline, stop)
