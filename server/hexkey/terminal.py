"""The terminal that the server writes to, and the news that its window was closed."""

from __future__ import annotations

import asyncio
import os
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Terminal:
    """What stdout and stderr are, where they are terminals; else it never closes."""

    def __init__(self) -> None:
        self._fds = [fd for fd in (1, 2) if os.isatty(fd)]

    @property
    def closed(self) -> bool:
        """Whether it is gone: nothing that we write is seen any more."""
        return not all(map(os.isatty, self._fds))

    def watch(self, closed: Callable[[], None]) -> None:
        """Call ``closed`` when it closes, where no signal would say so.

        The kernel sends SIGHUP to the first process of the terminal's session. A shell passes it
        on, to those whom it has not disowned; ``make`` (of ``ssh -t host make serve``) does not.
        """
        if not self._fds or os.getsid(0) != os.getpgid(0):
            return
        loop = asyncio.get_running_loop()
        ends = select.epoll()
        ends.register(self._fds[0], 0)  # of nothing but its end

        def ended() -> None:
            loop.remove_reader(ends)
            ends.close()
            closed()

        loop.add_reader(ends, ended)
