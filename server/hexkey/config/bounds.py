"""Checks of single numbers: each gives lines of ``name: what to do``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hexkey.cost.price import decimal

if TYPE_CHECKING:
    from collections.abc import Iterable


def not_decimal(section: object, names: Iterable[str]) -> list[str]:
    """Return a line for each field that is no quoted decimal of at least 0."""
    errors = []
    for name in names:
        try:
            decimal(getattr(section, name))
        except ValueError as error:
            errors.append(f"{name}: {error}")
    return errors


def not_positive(section: object, names: Iterable[str]) -> list[str]:
    """Return a line for each field that is no number greater than 0."""
    # Written so that infinity and NaN are refused as well.
    return [
        f"{name}: must be a number greater than 0"
        for name in names
        if not 0 < getattr(section, name) < math.inf
    ]


def negative(section: object, names: Iterable[str]) -> list[str]:
    """Return a line for each field that is no number of at least 0."""
    return [
        f"{name}: must be a number, 0 or more"
        for name in names
        if not 0 <= getattr(section, name) < math.inf
    ]
