"""The engine host: a child process that holds one model and makes it step.

One thread does everything, in turn: read what came in, step the engine, send the report. So every
frame that leaves proves that the engine makes progress, and the front end needs no other sign of
health. A second thread only waits for the parent's pipe to close and then ends the process group.
"""

from __future__ import annotations

import contextlib
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

from hexkey.engines import factory
from hexkey.engines.base import LoadContext
from hexkey.engines.frames import (
    PULSE_S,
    Cancel,
    FrameReader,
    FromHost,
    Launch,
    LoadFailed,
    Loading,
    Ready,
    Shutdown,
    Step,
    Submit,
    ToHost,
    encode,
    to_host,
)
from hexkey.errors import Code, ServeError
from hexkey.models.errors import ModelError
from hexkey.types import Failure, HostEvent, Usage

if TYPE_CHECKING:
    from hexkey.engines.base import Engine, StepReport


_PARENT_LEFT = (EOFError, BrokenPipeError, ConnectionResetError)


class Channel:
    """The host's end of the socket: blocking sends, reads that wait at most so long."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._reader: FrameReader[ToHost] = FrameReader(to_host)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def send(self, message: FromHost) -> None:
        """Send one frame whole."""
        self._socket.sendall(encode(message))

    def receive(self, timeout_s: float) -> list[ToHost]:
        """Return what came in, or nothing after ``timeout_s``; ``EOFError`` when the peer left."""
        if not self._poll.poll(timeout_s * 1000):
            return []
        data = self._socket.recv(1 << 20)
        if not data:
            raise EOFError
        return self._reader.feed(data)


class Host:
    """Drives one engine and keeps the promise that every request settles exactly once."""

    def __init__(self, engine: Engine, channel: Channel, incarnation: int) -> None:
        self._engine = engine
        self._channel = channel
        self._incarnation = incarnation
        self._live: set[int] = set()

    def serve(self) -> None:
        """Work until told to end; an exception of the engine fails what is in and is raised."""
        sent = time.monotonic()
        while True:
            busy = self._engine.running > 0
            wait_s = 0.0 if busy else max(0.0, sent + PULSE_S - time.monotonic())
            for message in self._channel.receive(wait_s):
                if isinstance(message, Shutdown):
                    return
                self._take(message)
            if self._engine.running:
                try:
                    report = self._engine.step()
                except Exception as error:
                    self._fail_all(error)
                    raise
                self._send(report)
                sent = time.monotonic()
            elif busy or time.monotonic() - sent >= PULSE_S:
                # Due, or a cancel took the last request out, which is to be known at once.
                now = time.monotonic_ns()
                self._channel.send(Step(self._incarnation, now, now, 0))
                sent = time.monotonic()

    def _take(self, message: ToHost) -> None:
        if isinstance(message, Submit):
            self._live.add(message.id)
            try:
                self._engine.add(message.id, message.payload)
            except ServeError as error:
                self._refuse(message.id, Failure(error.code, error.message, error.param))
            except Exception as error:  # noqa: BLE001 - one odd input must not fail its batch-mates
                self._refuse(message.id, Failure(Code.INTERNAL, _internal(error)))
        elif isinstance(message, Cancel) and message.id in self._live:
            self._live.discard(message.id)
            self._engine.cancel(message.id)

    def _refuse(self, request_id: int, failure: Failure) -> None:
        self._live.discard(request_id)
        now = time.monotonic_ns()
        self._channel.send(
            Step(self._incarnation, now, now, self._engine.running, [], [(request_id, [failure])])
        )

    def _send(self, report: StepReport) -> None:
        events: list[tuple[int, list[HostEvent]]] = []
        for request_id, batch in report.events:
            if request_id not in self._live or not batch:
                continue
            if isinstance(batch[-1], Usage | Failure):
                self._live.discard(request_id)
            events.append((request_id, batch))
        self._channel.send(
            Step(
                self._incarnation,
                report.begin_ns,
                report.done_ns,
                self._engine.running,
                report.computed,
                events,
            )
        )

    def _fail_all(self, error: Exception) -> None:
        failure = Failure(Code.INTERNAL, _internal(error))
        failures: list[tuple[int, list[HostEvent]]] = [
            (request_id, [failure]) for request_id in self._live
        ]
        now = time.monotonic_ns()
        self._channel.send(Step(self._incarnation, now, now, 0, [], failures))


def _internal(error: Exception) -> str:
    # The text of a library's exception may hold a user's data, so only its type leaves.
    return f"the engine failed on this request ({type(error).__name__})"


def _end_with_parent() -> None:
    """Wait for the parent's pipe (our stdin) to close, then end us and all our descendants."""
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    os.killpg(0, signal.SIGKILL)


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
    """Entry of ``python -m hexkey.engines.host FD``; the parent made a session for us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    try:
        launch = _await_launch(channel)
        context = LoadContext(
            model=launch.model,
            folder=Path(launch.folder),
            options=launch.options,
            progress=lambda text: channel.send(Loading(text)),
        )
        try:
            engine = factory.find(launch.engine)(context)
        except (ModelError, ServeError) as error:
            channel.send(LoadFailed(str(error)))
            return 2
        channel.send(Ready(launch.incarnation, engine.info))
        with contextlib.closing(engine):
            return _serve(Host(engine, channel, launch.incarnation), launch.model)
    except _PARENT_LEFT:
        return 0


def _serve(host: Host, model: str) -> int:
    """Serve to the end; what breaks an engine is told without its text: it may quote a user."""
    try:
        host.serve()
    except _PARENT_LEFT:
        return 0
    except Exception as error:  # noqa: BLE001 - the last frame; the exit status tells the parent
        sys.stderr.write(f"engine host of {model} ends: {type(error).__name__}\n")
        traceback.print_tb(error.__traceback__)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
