"""Tells a host that hangs from one that has long work to do."""

from __future__ import annotations

BUSY_SHARE = 0.05
"""Of a core, in one look: a process that uses more of it is at work, also on a crowded machine."""
TICKS_S = 0.02
"""CPU time is told in ticks of 10 ms, and a short look may find two that belong to others: so one
that idles along seemed at work (vLLM's Worker has threads that wake all the time)."""
BUSY_FACTOR = 8
"""So much longer may a silence be in which the host is at work: it could loop for ever, too."""
LOOKS = 2
"""In a row that find it late: one alone could be our own loop catching up."""


class Watchdog:
    """What is known of one host's progress.

    A frame is progress. So is CPU time, of the processes that compute on one: a batch engine says
    nothing for as long as a batch takes, while a process that is stopped, or that waits for ever,
    uses none. Pure: times are those of one monotonic clock, in seconds.
    """

    def __init__(self, stall_timeout_s: float, now: float, cpu_s: float) -> None:
        self._timeout_s = stall_timeout_s
        self._looked, self._cpu_s = now, cpu_s
        self._worked = float("-inf")
        self._late = 0

    def look(self, now: float, last_frame: float, cpu_s: float) -> str | None:
        """Return why the host is taken to hang, if it is; ``cpu_s`` is what it has used so far."""
        if cpu_s - self._cpu_s > BUSY_SHARE * (now - self._looked) + TICKS_S:
            self._worked = now
        self._looked, self._cpu_s = now, cpu_s
        why = None
        if now - max(last_frame, self._worked) > self._timeout_s:
            why = f"the engine made no progress for {self._timeout_s:g} s"
        elif now - last_frame > self._timeout_s * BUSY_FACTOR:
            why = f"one step of the engine took over {self._timeout_s * BUSY_FACTOR:g} s"
        self._late = self._late + 1 if why else 0
        return why if self._late >= LOOKS else None
