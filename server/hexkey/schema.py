"""Reads nested data into dataclasses and reports everything that is wrong with it, with its path.

A configuration file is edited by people, so one run must name every mistake and say what would
have been right; a library that stops at the first error would not.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Any, TypeVar, Union

T = TypeVar("T")

_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    date: "a day such as 2026-11-24",
}
_MAX_EXACT = 1 << 53
"""Whole numbers up to here are the same number as a float."""
_MAX_SHOWN = 80


class Reader:
    """Collects errors while it reads; ``errors`` holds lines of the form ``path: what to do``."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def read(self, kind: type[T], data: object, path: str) -> T | None:
        """Return ``data`` as dataclass ``kind``, or None where errors were found in it.

        Where the class has ``BOUNDS``, they name the least and the most of its numbers.
        """
        before = len(self.errors)
        if not isinstance(data, Mapping):
            self._say(path, f"expected a mapping, found {_found(data)}")
            return None
        fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
        for key in data:
            if key not in fields:
                self._say(f"{path}.{key}".strip("."), f"unknown key{_suggest(str(key), fields)}")
        hints = typing.get_type_hints(kind)
        values: dict[str, Any] = {}
        for name, field in fields.items():
            here = f"{path}.{name}".strip(".")
            if name in data:
                values[name] = self._value(hints[name], data[name], here)
            elif (
                field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING
            ):
                self._say(here, f"is missing; expected {_expected(hints[name])}")
        bounds: Mapping[str, tuple[float, float]] = getattr(kind, "BOUNDS", {})
        for name, (low, high) in bounds.items():
            value: Any = values.get(name)
            if type(value) is hints[name] and not low <= value <= high:
                self._say(f"{path}.{name}".strip("."), f"must be between {low} and {high}")
        return kind(**values) if len(self.errors) == before else None

    def _value(self, hint: Any, value: object, path: str) -> Any:  # noqa: PLR0911 - a case each
        origin = typing.get_origin(hint)
        if origin in {Union, types.UnionType}:
            inner = [one for one in typing.get_args(hint) if one is not type(None)]
            return None if value is None else self._value(inner[0], value, path)
        if dataclasses.is_dataclass(hint):
            return self.read(typing.cast("type[Any]", hint), value, path)
        if origin is tuple:
            return self._items(typing.get_args(hint)[0], value, path)
        if origin is dict:
            return self._mapping(typing.get_args(hint)[1], value, path)
        if isinstance(hint, type) and issubclass(hint, StrEnum):
            return self._choice(hint, value, path)
        if hint is float and type(value) is int and abs(value) <= _MAX_EXACT:
            return float(value)
        if hint is not object and (type(value) is not hint):
            self._say(path, f"expected {_expected(hint)}, found {_found(value)}")
        return value

    def _items(self, hint: Any, value: object, path: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            self._say(path, f"expected a list, found {_found(value)}")
            return ()
        return tuple(self._value(hint, one, f"{path}[{i}]") for i, one in enumerate(value))

    def _mapping(self, hint: Any, value: object, path: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            self._say(path, f"expected a mapping, found {_found(value)}")
            return {}
        return {str(key): self._value(hint, one, f"{path}.{key}") for key, one in value.items()}

    def _choice(self, hint: type[StrEnum], value: object, path: str) -> StrEnum | None:
        try:
            return hint(str(value))
        except ValueError:
            self._say(path, f"expected one of {', '.join(hint)}, found {_found(value)}")
            return None

    def _say(self, path: str, text: str) -> None:
        self.errors.append(f"{path or 'the file'}: {text}")


def _expected(hint: Any) -> str:
    if typing.get_origin(hint) is tuple:
        return "a list"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return f"one of {', '.join(hint)}"
    return _WORDS.get(hint, "a mapping")


def _found(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return repr(value) if len(repr(value)) <= _MAX_SHOWN else f"{repr(value)[:_MAX_SHOWN]}…"


def _suggest(key: str, fields: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(key, fields, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; the keys are: {', '.join(fields)}"
