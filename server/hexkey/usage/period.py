"""Since when: ``7d`` before now, or a day."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_BACK = re.compile(r"(\d{1,5})([mhdw])")
_UNIT = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def instant(text: str, now: datetime) -> datetime:
    """Return the UTC instant meant by ``30m``, ``24h``, ``7d``, ``4w``, or an ISO day or time.

    Raises ``ValueError`` that says what would be right.
    """
    if match := _BACK.fullmatch(text):
        return now - timedelta(**{_UNIT[match[2]]: int(match[1])})
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"expected a time back such as 7d or 24h, or a day such as 2026-11-01, found {text!r}"
        ) from None
    return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)


def micros(at: datetime) -> int:
    """Return an instant in microseconds since 1970."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
