"""The engine host: a child process that holds one model and makes it step.

One thread does everything, in turn: read what came in, step the engine, send the report. So every
frame that leaves proves that the engine makes progress, and the front end needs no other sign of
health. A second thread only waits for the parent's pipe to close and then ends the process group.
An engine whose steps another process computes runs in ``async_host``, which keeps that promise.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from hexkey.engines import factory, sharedmemory
from hexkey.engines.async_host import AsyncHost
from hexkey.engines.base import AsyncEngine, EngineLost, LoadContext, Patient
from hexkey.engines.docket import Docket
from hexkey.engines.frames import (
    HOLD_S,
    PULSE_S,
    Ask,
    FrameReader,
    FromHost,
    Launch,
    LoadFailed,
    Loading,
    Ready,
    Scrape,
    Shutdown,
    ToHost,
    encode,
    to_host,
)
from hexkey.errors import ServeError
from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from hexkey.engines.base import Engine, StepReport


DRAIN_S = 0.05
"""What taking in may cost those who are in the engine, each step."""
GAP_MS = 2
_PARENT_LEFT = (EOFError, BrokenPipeError, ConnectionResetError)


class Channel:
    """The host's end of the socket: blocking sends, reads that wait at most so long."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._reader: FrameReader[ToHost] = FrameReader(to_host)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._held: list[FromHost] = []

    def send(self, message: FromHost) -> None:
        """Send one frame whole, behind those that were held."""
        self._held.append(message)
        frames = b"".join(map(encode, self._held))
        self._held.clear()
        self._socket.sendall(frames)

    def hold(self, message: FromHost) -> None:
        """Send one frame with the next that is sent."""
        self._held.append(message)

    def fileno(self) -> int:
        """For a loop that waits by itself."""
        return self._socket.fileno()

    def close(self) -> None:
        """Let the other end know that no more comes."""
        self._socket.close()

    @property
    def pending(self) -> bool:
        """Whether something has come in."""
        return bool(self._poll.poll(0))

    def receive(self, timeout_s: float, drain_s: float = 0.0) -> list[ToHost]:
        """Return what came in, or nothing after ``timeout_s``; ``EOFError`` when the peer left.

        With ``drain_s`` everything that is there is taken, for so long at the most, and the rest of
        a frame that has begun is waited for while it keeps coming. A buffer holds less than a large
        frame, which else came a buffer a step, and what is behind it, a cancel say, after it.
        """
        messages: list[ToHost] = []
        wait_ms, until = timeout_s * 1000, 0.0
        while self._poll.poll(wait_ms):
            until = until or time.monotonic() + drain_s
            data = self._socket.recv(1 << 20)
            if not data and not messages:
                raise EOFError
            messages += self._reader.feed(data)
            if not data or time.monotonic() >= until:
                break
            wait_ms = GAP_MS if self._reader.unfinished else 0
        return messages


class Host:
    """Drives one engine that computes in this thread."""

    def __init__(self, engine: Engine, channel: Channel, incarnation: int) -> None:
        self._engine = engine
        self._patient = engine if isinstance(engine, Patient) else None
        self._channel = channel
        self._docket = Docket(engine, incarnation)

    def serve(self) -> None:
        """Work until told to end; an exception of the engine fails what is in and is raised."""
        sent = time.monotonic()
        while True:
            busy = self._engine.running > 0
            wait_s = 0.0 if busy else max(0.0, sent + PULSE_S - time.monotonic())
            for message in self._channel.receive(wait_s, DRAIN_S):
                if isinstance(message, Shutdown):
                    return
                if isinstance(message, Scrape | Ask):
                    self._channel.send(self._docket.reply(message))
                    continue
                refused = self._docket.take(message)
                if refused:
                    self._channel.send(self._docket.pulse(refused))
            if self._engine.running:
                due = sent + HOLD_S
                early = time.monotonic() < due
                *skimmed, report = self._steps(due if early else 0.0)
                for one in skimmed:
                    self._channel.hold(self._docket.frame(one))
                frame = self._docket.frame(report)
                if self._docket.can_wait(frame) and early:
                    # Each frame wakes the front end, on a core that the next step wants.
                    self._channel.hold(frame)
                else:
                    self._channel.send(frame)
                    sent = time.monotonic()
            elif busy or time.monotonic() - sent >= PULSE_S:
                # Due, or a cancel took the last request out, which is to be known at once.
                self._channel.send(self._docket.pulse())
                sent = time.monotonic()

    def _steps(self, due: float) -> list[StepReport]:
        """Compute once; where nobody waits, until a message comes or it is ``due``."""

        def enough() -> bool:
            return self._channel.pending or time.monotonic() >= due

        try:
            if due and self._patient is not None and self._docket.patient:
                return self._patient.skim(enough)
            return [self._engine.step()]
        except Exception as error:
            self._channel.send(self._docket.failed(error))
            raise


def serve(engine: Engine | AsyncEngine, channel: Channel, incarnation: int) -> None:
    """Say that the model serves, and serve, in the loop that the engine needs."""
    if isinstance(engine, AsyncEngine):
        uvloop.run(AsyncHost(engine, channel, incarnation).serve())
    else:
        channel.send(Ready(incarnation, engine.info, (os.getpid(),)))
        Host(engine, channel, incarnation).serve()


def _end_with_parent() -> None:
    """Wait for the parent's pipe (our stdin) to close, then end us and all our descendants."""
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    sharedmemory.unlink(sharedmemory.of_group(os.getpgid(0)))
    os.killpg(0, signal.SIGKILL)


def _end_others() -> None:
    """End what our engine's library has left running.

    A parent that lives does it when we have ended. One that has died cannot, and the thread that
    would ends with us: whoever of the two is first, nothing may stay behind.
    """
    group = os.getpgid(0)
    segments = sharedmemory.of_group(group)
    for pid in sharedmemory.members(group):
        if pid != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    sharedmemory.unlink(segments)


def _await_launch(channel: Channel) -> Launch:
    while True:
        messages = channel.receive(PULSE_S)
        if any(isinstance(message, Shutdown) for message in messages):
            # It may come together with the launch, from a parent that stops while we start.
            raise EOFError
        for message in messages:
            if isinstance(message, Launch):
                return message


def main() -> int:
    """Entry of ``python -m hexkey.engines.host FD MODEL``; we lead a process group."""
    # ^C is the server's to answer; the others stop a group in a terminal's background.
    for number in (signal.SIGINT, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    try:
        launch = _await_launch(channel)
        context = LoadContext(
            model=launch.model,
            folder=Path(launch.folder),
            options=launch.options,
            progress=lambda text: channel.send(Loading(text)),
            adapters={name: Path(folder) for name, folder in launch.adapters.items()},
        )
        try:
            engine = factory.find(launch.engine)(context)
        except (ModelError, ServeError) as error:
            channel.send(LoadFailed(str(error)))
            return 2
        except Exception as error:  # noqa: BLE001 - whatever a library raises, the operator is told
            traceback.print_exc()
            # No user's text is about yet.
            channel.send(LoadFailed(f"{type(error).__name__}: {error}"))
            return 2
        with contextlib.closing(engine):
            gc.collect()
            gc.freeze()  # what is loaded stays, so no collection between two steps need look at it
            return _serve(engine, channel, launch)
    except _PARENT_LEFT:
        return 0


def _serve(engine: Engine | AsyncEngine, channel: Channel, launch: Launch) -> int:
    """Serve to the end; what breaks an engine is told without its text: it may quote a user."""
    try:
        serve(engine, channel, launch.incarnation)
    except _PARENT_LEFT:
        return 0
    except ModelError as error:  # found while the engine started
        channel.send(LoadFailed(str(error)))
        return 2
    except EngineLost:
        channel.close()  # at once: what is left of the engine may take seconds to end
        return 3
    except MemoryError:
        return errno.ENOMEM
    except Exception as error:  # noqa: BLE001 - the last frame; the exit status tells the parent
        sys.stderr.write(f"engine host of {launch.model} ends: {type(error).__name__}\n")
        traceback.print_tb(error.__traceback__)
        return 1
    return 0


if __name__ == "__main__":
    try:
        status = main()
    finally:
        _end_others()
    sys.exit(status)
