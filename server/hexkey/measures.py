"""What requests took, by model and task: moving averages and one quantile, a few numbers each."""

from __future__ import annotations

from bisect import bisect_right

import msgspec

MEMORY = 32
"""Requests that an average looks back on; until there are so many, it is their plain mean."""
TAIL = 0.95
WINDOW = 1000
"""Requests that a spread looks back on at least, and twice as many at most."""
WARM = 3
"""Requests after which the others are compared with what was expected; the first are often slow."""


class Average:
    """An exponentially weighted mean that starts as a plain one."""

    __slots__ = ("count", "value")

    def __init__(self) -> None:
        self.count = 0
        self.value = 0.0

    def add(self, sample: float) -> None:
        """Take in one sample."""
        self.count += 1
        self.value += (sample - self.value) / min(self.count, MEMORY)


class Quantile:
    """One quantile of a stream in five numbers: the P² algorithm (Jain and Chlamtac, 1985)."""

    __slots__ = ("_heights", "_places", "_steps", "_wanted")

    def __init__(self, p: float) -> None:
        self._heights: list[float] = []
        self._places = [1.0, 2.0, 3.0, 4.0, 5.0]
        self._wanted = [1, 1 + 2 * p, 1 + 4 * p, 3 + 2 * p, 5.0]
        self._steps = (0, p / 2, p, (1 + p) / 2, 1)

    @property
    def value(self) -> float:
        """The quantile; until five samples came, the largest of them, or 0."""
        heights = self._heights
        return (
            heights[2]
            if len(heights) == len(self._places) and self._full
            else max(heights, default=0.0)
        )

    @property
    def count(self) -> int:
        """Samples taken in."""
        return (
            int(self._places[-1]) if len(self._heights) == len(self._places) else len(self._heights)
        )

    @property
    def _full(self) -> bool:
        return self._places[-1] > len(self._places)

    def add(self, sample: float) -> None:
        """Take in one sample."""
        heights, places = self._heights, self._places
        if len(heights) < len(places):
            heights.append(sample)
            heights.sort()
            return
        if sample < heights[0]:
            heights[0] = sample
        elif sample > heights[-1]:
            heights[-1] = sample
        for i in range(bisect_right(heights, sample, 1, 4), 5):
            places[i] += 1
        for i, step in enumerate(self._steps):
            self._wanted[i] += step
        for i in (1, 2, 3):
            apart = self._wanted[i] - places[i]
            if (apart >= 1 and places[i + 1] - places[i] > 1) or (
                apart <= -1 and places[i - 1] - places[i] < -1
            ):
                self._move(i, 1 if apart > 0 else -1)

    def _move(self, i: int, by: int) -> None:
        """Move a marker by one place, along a parabola or, where that overshoots, a line."""
        heights, places = self._heights, self._places
        below, here, above = places[i - 1], places[i], places[i + 1]
        parabola = heights[i] + by / (above - below) * (
            (here - below + by) * (heights[i + 1] - heights[i]) / (above - here)
            + (above - here - by) * (heights[i] - heights[i - 1]) / (here - below)
        )
        if heights[i - 1] < parabola < heights[i + 1]:
            heights[i] = parabola
        else:
            heights[i] += by * (heights[i + by] - heights[i]) / (places[i + by] - here)
        places[i] += by


class Took(msgspec.Struct, frozen=True):
    """What one leg of a request took: its work in units, its time, its part of the machine."""

    units: float
    seconds: float
    pico: int
    device_s: float


class Measure:
    """One model's requests of one task.

    The time of a request is a line over its units, fitted to the averages, so that short texts
    and long ones are both foretold; ``spread`` is how much longer one in twenty takes.
    """

    __slots__ = ("_device_s", "_next", "_pico", "_product", "_seconds", "_spread", "_square",
                 "_units")  # fmt: skip

    def __init__(self) -> None:
        self._units = Average()
        self._seconds = Average()
        self._square = Average()
        self._product = Average()
        self._pico = Average()
        self._device_s = Average()
        self._spread = self._next = Quantile(TAIL)

    def add(self, took: Took) -> None:
        """Take in one request."""
        fixed, per_unit = self.line
        expected = fixed + per_unit * took.units
        if expected > 0 and self.count >= WARM:
            self._compare(took.seconds / expected)
        self._units.add(took.units)
        self._seconds.add(took.seconds)
        self._square.add(took.units**2)
        self._product.add(took.units * took.seconds)
        self._pico.add(took.pico)
        self._device_s.add(took.device_s)

    def _compare(self, ratio: float) -> None:
        # A quantile forgets nothing, so another one follows it and takes over now and then.
        self._spread.add(ratio)
        if self._next is not self._spread:
            self._next.add(ratio)
        if self._next.count >= WINDOW:
            self._spread, self._next = self._next, Quantile(TAIL)

    @property
    def count(self) -> int:
        """Requests taken in."""
        return self._units.count

    @property
    def units(self) -> float:
        """Units of one request, on average."""
        return self._units.value

    @property
    def line(self) -> tuple[float, float]:
        """(seconds of any request, seconds of each unit), both 0 or more."""
        units, seconds = self._units.value, self._seconds.value
        variance = self._square.value - units**2
        if variance <= 1e-9 * self._square.value:
            # All alike: nothing says what a longer one would take but proportion.
            return (0.0, seconds / units) if units else (seconds, 0.0)
        slope = max(0.0, (self._product.value - units * seconds) / variance)
        fixed = seconds - slope * units
        return (fixed, slope) if fixed >= 0 else (0.0, seconds / units)

    @property
    def pico_per_unit(self) -> float:
        """Money that a unit costs."""
        return self._pico.value / self._units.value if self._units.value else 0.0

    @property
    def device_s_per_unit(self) -> float:
        """Time of the device that a unit takes."""
        return self._device_s.value / self._units.value if self._units.value else 0.0

    @property
    def spread(self) -> float:
        """Time over expected time that 95 of 100 requests stay below."""
        return max(1.0, self._spread.value)
