# ruff: noqa: RUF001  the typographic apostrophe is meant
"""Quantities survive translation: digits and currency signs, whatever the locale's separators.

`1,234.5` and `1.234,5` are the same number, `5 p.m.` and `17:00` the same hour, `21st` and `XXI`
the same rank.
"""

import re
import unicodedata
from collections import Counter

_GROUP = "[.,'’\u00a0\u202f]"
_NUMBER = re.compile(rf"\d{{1,40}}(?:{_GROUP}\d{{1,40}}|\ \d{{3}}(?!\d)){{0,12}}")
_DIGITS = re.compile(r"\d+")
_CLOCK = re.compile(
    r"(?<![\d.,])(?P<hour>\d{1,2})(?:\s?[:h.]\s?(?P<minute>\d\d))?"
    r"(?:\s?(?P<half>[ap])\.?\s?m\b\.?|\s?h\b|(?<=:\d\d)|(?<=h\d\d))(?![\d:])",
    re.IGNORECASE,
)
_CURRENCY = re.compile(r"[$¢-¥\u20a0-\u20cf]")
_SPAN = re.compile(
    r"(?:[$¢-¥\u20a0-\u20cf][\ \u00a0]?)?\d(?:[\dA-Za-zªº°]|[-.,:/'’\u00a0\u202f](?=\d)){0,60}"
    r"(?:[\ \u00a0]?[¢-¥\u20a0-\u20cf])?"
    r"|[$¢-¥\u20a0-\u20cf]"
)
_ROMAN = ((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))
_MAX_ROMAN = 39
_NOON = 12
_THOUSAND = 3


def spans(text: str) -> list[tuple[int, int]]:
    """Return the (start, end) of each quantity of `text` with what is stuck to it: `€25`, `2nd`."""
    return [match.span() for match in _SPAN.finditer(text)]


def kept(source: str, target: str) -> bool:
    """Tell whether `target` states exactly the quantities of `source`, in any order."""
    if Counter(_CURRENCY.findall(source)) != Counter(_CURRENCY.findall(target)):
        return False
    before, after = _quantities(source), _quantities(target)
    return all(_as_roman(n, target) for n in before - after) and all(
        _as_roman(n, source) for n in after - before
    )


def has_digits(source: str, target: str) -> bool:
    """Tell whether `target` has every run of digits of `source`, unchanged."""
    return Counter(_DIGITS.findall(source)) <= Counter(_DIGITS.findall(target))


def _quantities(text: str) -> Counter[str]:
    found: list[str] = []

    def clock(match: re.Match[str]) -> str:
        hour, minute = int(match["hour"]), int(match["minute"] or 0)
        if match["half"] and hour <= _NOON:
            hour = hour % _NOON + (_NOON if match["half"] in "pP" else 0)
        found.append(str(hour))
        if minute:
            found.append(str(minute))
        return " "

    rest = _CLOCK.sub(clock, text)
    found += (_canonical(match[0]) for match in _NUMBER.finditer(rest))
    return Counter(found)


def _canonical(number: str) -> str:
    """Write a number with `.` before its decimals and nothing between its thousands."""
    groups = re.split(r"\D", "".join(map(_digit, number)))
    separators = [c for c in number if not c.isdigit()]
    thousands = all(len(group) == _THOUSAND for group in groups[1:])
    if len(set(separators)) <= 1:
        return ("" if thousands else ".").join(groups)
    if len(set(separators[:-1])) == 1 and all(len(g) == _THOUSAND for g in groups[1:-1]):
        return "".join(groups[:-1]) + "." + groups[-1]
    return ".".join(groups)


def _digit(character: str) -> str:
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)


def _as_roman(number: str, text: str) -> bool:
    if not (number.isdigit() and 1 <= int(number[:9]) <= _MAX_ROMAN):
        return False
    left, numeral = int(number[:9]), ""
    for value, letters in _ROMAN:
        numeral += letters * (left // value)
        left %= value
    return re.search(rf"\b{numeral}\b", text) is not None
