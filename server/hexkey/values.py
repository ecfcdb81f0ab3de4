"""What a single setting may be: each check returns what is wrong with it, or None.

They stand in the annotations that ``schema`` reads by: ``Annotated[float, positive]``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

Check = Callable[[Any], str | None]
_MAX_SHOWN = 80


def shown(value: object) -> str:
    """Return what was found, in a few words."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, date):
        return str(value)
    try:
        text = repr(value)
    except ValueError:  # more digits than sys.get_int_max_str_digits()
        return "a huge number"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def positive(value: float) -> str | None:
    """A number greater than 0."""
    # Written so that infinity and NaN are refused as well.
    return None if 0 < value < math.inf else "must be a number greater than 0"


def not_negative(value: float) -> str | None:
    """A number of at least 0."""
    return None if 0 <= value < math.inf else "must be a number, 0 or more"


def at_most(most: float, why: str = "") -> Check:
    """A number that is not larger."""
    return lambda value: f"must be at most {most}{why}" if value > most else None


def expected(what: str, good: Callable[[Any], object]) -> Check:
    """A value that is ``good``; ``what`` says what would be."""
    return lambda value: None if good(value) else f"expected {what}, found {shown(value)}"


def one_of(*words: str) -> Check:
    """One of some words."""
    return expected(f"one of {', '.join(words)}", words.__contains__)


def not_empty(what: str) -> Check:
    """A list, or a text, with something in it."""
    return lambda value: None if value else f"is empty; name at least one {what}"


def refused(good: Callable[[Any], object], *errors: type[Exception]) -> Check:
    """What a function takes; else the text of its error says what is wrong."""

    def check(value: object) -> str | None:
        try:
            good(value)
        except errors as error:
            return str(error)
        return None

    return check
