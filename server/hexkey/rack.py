"""The models in their places: who is loaded, who makes room, who takes over from whom."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Protocol

import structlog

from hexkey.engines.process import resident_bytes
from hexkey.engines.supervisor import State, Supervisor
from hexkey.errors import Code, ServeError
from hexkey.residency import Resident, Spec, make_room

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from hexkey.engines.supervisor import Observer
    from hexkey.routing import Candidate

DRAIN_S = 60.0
"""How long a model that is unloaded or replaced may take to finish what it has."""
SWEEP_S = 1.0
RETRY_S = 10.0
"""How long a model that could not be loaded is left alone."""

log = structlog.get_logger("hexkey.rack")


class Books(Protocol):
    """What keeps a model's costs; a slot is one version of it."""

    def add(self, slot: str, model: str, device: str, memory: int) -> None:
        """A version of a model is about to load on a device, where it is to have so many bytes.

        0 bytes: as many as it takes.
        """

    def serve(self, model: str, slot: str) -> None:
        """Requests for a model go to this version from now on."""

    def retire(self, slot: str) -> None:
        """A version has ended for good."""


class Member:
    """One version of a model.

    ``slot`` is its name in the books, ``wanted`` whether the server is ready only with it in
    memory, ``memory`` what it takes there in bytes, as far as is known.
    """

    def __init__(self, spec: Spec, slot: str, observe: Callable[[Member], Observer]) -> None:
        self.spec = spec
        self.name = spec.candidate.name
        self.slot = slot
        self.wanted = not spec.keep.on_request
        self.memory = spec.keep.memory
        self.lock = asyncio.Lock()
        self.failed_at = float("-inf")
        self.supervisor = Supervisor(spec.settings, observe(self))

    def take(self, spec: Spec) -> None:
        """Take in what is new and needs no other host."""
        self.spec = spec
        self.supervisor.settings = spec.settings

    @property
    def in_memory(self) -> bool:
        """Whether a host of it runs or is about to."""
        return self.supervisor.state not in {State.STOPPED, State.FAILED}


class Rack:
    """Owns every member and every task that loads or ends one.

    A member serves (``members``), is to take over once it does (coming), or finishes what it has
    (leaving); in memory they all count.
    """

    def __init__(
        self,
        specs: Iterable[Spec],
        observe: Callable[[Member], Observer],
        books: Books,
        *,
        memory: int,
    ) -> None:
        self._observe = observe
        self._books = books
        self._memory = memory
        self._coming: set[Member] = set()
        self._leaving: set[Member] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Lock()
        self._change = asyncio.Lock()
        self.members: dict[str, Member] = {}
        for spec in specs:
            member = self._member(spec)
            self.members[member.name] = member
            self._serve(member)
        self.catalog = self._listed()
        """The models as the router sees them, in order; adapters follow their base."""

    def find(self, name: str) -> Member | None:
        """Return the member that serves a model or an adapter, if there is one."""
        return self.members.get(name) or next(
            (
                member
                for member in self.members.values()
                if any(one.name == name for one in member.spec.adapters)
            ),
            None,
        )

    async def start(self) -> None:
        """Load what is wanted from the start; raises the first error after stopping the rest."""
        try:
            async with self._change:
                await self._load_all([one for one in self.members.values() if one.wanted])
        except BaseException:
            await self.stop()
            raise
        self._spawn(self._sweep(), "unload idle models")

    async def stop(self) -> None:
        """End every task and every host."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        ends = (one.supervisor.stop() for one in self._everyone())
        # One that cannot be ended must not keep us from waiting for the others.
        for ended in await asyncio.gather(*ends, return_exceptions=True):
            if isinstance(ended, Exception):
                _not_ended(ended)

    def wake(self, member: Member) -> None:
        """A request waits for a model that is not in memory: load it, unless that just failed."""
        # One that leaves still has those who came before it was replaced.
        known = self.members.get(member.name) is member or member in self._leaving
        if known and not member.lock.locked():
            self._spawn(self._wake(member), f"wake {member.name}")

    async def load(self, member: Member) -> None:
        """Return once a member serves; ``ServeError`` where it cannot."""
        async with member.lock:
            if member.in_memory:
                return
            member.failed_at = float("-inf")
            try:
                await self._make_room(member)
                await member.supervisor.start()
            except Exception as error:
                member.failed_at = monotonic()
                member.supervisor.give_up(error)
                if not isinstance(error, OSError):
                    raise
                # No process could be made just now; memory may come back.
                why = f"model {member.name!r} cannot load: {error}"
                raise ServeError(Code.UNAVAILABLE, why, retry_after_s=RETRY_S) from error
            except BaseException:
                await member.supervisor.stop()
                raise
            member.wanted = not member.spec.keep.on_request
            member.memory = max(member.spec.keep.memory, resident_bytes(member.supervisor.pid))

    async def unload(self, member: Member) -> None:
        """Let a member finish what it has, then end its host; a new request loads it anew.

        Once begun this goes on, though who asked for it leaves.
        """
        member.wanted = False
        await asyncio.shield(self._spawn(self._unload(member), f"unload {member.slot}"))

    async def _unload(self, member: Member) -> None:
        async with member.lock:
            if member.in_memory:
                await member.supervisor.drain(DRAIN_S)
                await member.supervisor.stop()
                log.info("model unloaded", model=member.name)

    async def replace(self, specs: Sequence[Spec]) -> None:
        """Serve ``specs`` from now on; ``ServeError`` leaves everything as it was.

        Only models that were idle may have been unloaded by then, to make room. One change waits
        for another, and all of them for the start.
        """
        async with self._change:
            await self._replace(specs)

    async def _replace(self, specs: Sequence[Spec]) -> None:
        members: dict[str, Member] = {}
        fresh: list[Member] = []
        for spec in specs:
            member = self.members.get(spec.candidate.name)
            if member is None or _moved(member.spec, spec):
                member = self._member(spec)
                self._coming.add(member)
                fresh.append(member)
            members[spec.candidate.name] = member
        try:
            await self._load_all([one for one in fresh if one.wanted])
        except BaseException:
            await asyncio.gather(*(self._end(one) for one in fresh))
            raise
        finally:
            self._coming.clear()
        # Nothing below waits or fails, so no request sees half of it.
        before, self.members = self.members, members
        for spec in specs:
            members[spec.candidate.name].take(spec)
        self.catalog = self._listed()
        for member in members.values():
            self._serve(member)
        for member in before.values():
            if members.get(member.name) is not member:
                self._leaving.add(member)
                self._spawn(self._retire(member), f"retire {member.slot}")

    def _listed(self) -> tuple[Candidate, ...]:
        specs = (one.spec for one in self.members.values())
        return tuple(one for spec in specs for one in (spec.candidate, *spec.adapters))

    async def _load_all(self, members: Sequence[Member]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for member in members:
                    group.create_task(self.load(member))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _make_room(self, member: Member) -> None:
        if not self._memory:
            return
        async with self._room:
            if not member.memory:
                member.memory = await asyncio.to_thread(_size, member.spec.settings.folder)
            others = [one for one in self._everyone() if one is not member and one.in_memory]
            residents = [self._resident(one) for one in others]
            evicted = make_room(member.name, member.memory, self._memory, residents)
            for name in evicted:
                log.info("model makes room", model=name, wanted=member.name)
                await self.unload(self.members[name])

    async def _wake(self, member: Member) -> None:
        if monotonic() - member.failed_at < RETRY_S:
            return
        try:
            await self.load(member)
        except ServeError as error:
            log.error("model cannot be loaded", model=member.name, why=str(error))

    async def _retire(self, member: Member) -> None:
        await member.supervisor.idle(DRAIN_S)
        await self._end(member)
        self._leaving.discard(member)

    async def _end(self, member: Member) -> None:
        async with member.lock:
            await member.supervisor.stop()
        self._books.retire(member.slot)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            for member in list(self.members.values()):
                keep, supervisor = member.spec.keep, member.supervisor
                idle = supervisor.state is State.READY and not supervisor.users
                if idle and 0 < keep.idle_unload_s < monotonic() - supervisor.last_used:
                    try:
                        await self.unload(member)
                    except Exception as error:  # noqa: BLE001 - the others are looked at all the same
                        _not_ended(error)

    def _member(self, spec: Spec) -> Member:
        name = spec.candidate.name
        taken = {one.slot for one in self._everyone()}
        slot, version = name, 1
        while slot in taken:
            version += 1
            slot = f"{name}#{version}"
        self._books.add(slot, name, spec.device, spec.keep.memory)
        return Member(spec, slot, self._observe)

    def _serve(self, member: Member) -> None:
        """Send requests for a member, and for its adapters, to its books."""
        for one in (member.spec.candidate, *member.spec.adapters):
            self._books.serve(one.name, member.slot)

    def _everyone(self) -> list[Member]:
        return [*self.members.values(), *self._coming, *self._leaving]

    def _resident(self, member: Member) -> Resident:
        supervisor = member.supervisor
        # One that loads is as good as in use: somebody waits for it. So is one that comes, and one
        # that leaves goes by itself.
        busy = supervisor.state is not State.READY or self.members.get(member.name) is not member
        return Resident(
            member.name,
            member.memory,
            pinned=member.spec.keep.pinned,
            users=supervisor.users or int(busy),
            last_used=supervisor.last_used,
        )

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _not_ended(error: Exception) -> None:
    log.error("a host did not end well", why=str(error), kind=type(error).__name__)


def _moved(old: Spec, new: Spec) -> bool:
    """Return whether a model needs another host, or other books, than it has."""
    # How long it is waited for is between us and those who wait.
    waits = {name: getattr(old.settings, name) for name in ("cold_start_s", "load_timeout_s")}
    return (old.settings, old.device) != (replace(new.settings, **waits), new.device)


def _size(folder: str) -> int:
    path = Path(folder)
    if not folder:
        return 0
    files = [path] if path.is_file() else path.rglob("*")
    with contextlib.suppress(OSError):
        return sum(one.stat().st_size for one in files if one.is_file())
    return 0
