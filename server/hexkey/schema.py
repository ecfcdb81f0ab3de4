"""Reads nested data into dataclasses and reports everything that is wrong with it, with its path.

A configuration file is edited by people, so one run must name every mistake and say what would
have been right; a library that stops at the first error would not.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, TypeVar, Union

from hexkey.values import shown

T = TypeVar("T")

_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    date: "a day such as 2026-11-24",
}
_SCALAR = (bool, int, float, date)
_WORD = re.compile(r"[\w./-]{1,40}")
_MAX_EXACT = 1 << 53
"""Whole numbers up to here are the same number as a float."""
_WRONG = object()
"""Stands for a value that is wrong."""


class Known(tuple[T, ...]):
    """The items of a list that are right, where some are not.

    Whether it has another item, or how many, is not known: to ask raises ``UnknownError``, which
    ``list`` and ``sorted`` do as well.
    """

    __slots__ = ()

    def __contains__(self, item: object) -> bool:
        if super().__contains__(item):
            return True
        raise UnknownError

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:
        raise UnknownError


class UnknownError(Exception):
    """What was asked for is not known, since it was written down wrong."""


class Reader:
    """Collects errors while it reads; ``errors`` holds lines of the form ``path: what to do``."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def read(self, kind: type[T], data: object, path: str) -> T | None:
        """Return ``data`` as dataclass ``kind``, or None where errors were found in it.

        Annotations may hold checks (``hexkey.values``). Where the class has ``BOUNDS``, they name
        the least and the most of its numbers.
        """
        before = len(self.errors)
        value = self.read_known(kind, data, path)
        return value if len(self.errors) == before else None

    def read_known(self, kind: type[T], data: object, path: str) -> T:
        """Return ``data`` as ``kind``, a dataclass with slots, without the fields that are wrong.

        ``if_known`` leaves out what asks for one. A list with wrong items is ``Known``.
        """
        before = len(self.errors)
        record = object.__new__(kind)
        if not isinstance(data, Mapping):
            self._say(path, f"expected a mapping, found {shown(data)}")
            return record
        fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
        meant = {self._unknown(f"{path}.{key}", key, fields) for key in data if key not in fields}
        hints = typing.get_type_hints(kind, include_extras=True)
        bounds: Mapping[str, tuple[float, float]] = getattr(kind, "BOUNDS", {})
        values: dict[str, Any] = {}
        for name, field in fields.items():
            here = f"{path}.{name}"
            if name in data:
                value = self._value(hints[name], data[name], here)
                if value is not _WRONG and name in bounds:
                    value = self._within(bounds[name], value, here)
            elif name in meant:  # what its name is has been told
                value = _WRONG
            else:
                value = self._default(field, hints[name], here)
            if value is not _WRONG:
                values[name] = value
        if len(self.errors) == before:
            return kind(**values)
        for name, value in values.items():
            object.__setattr__(record, name, value)
        return record

    def _unknown(self, path: str, key: object, fields: Mapping[str, object]) -> str:
        """Report a key that there is not; return the one that was meant, if that can be told."""
        near = difflib.get_close_matches(str(key), fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the keys are: {', '.join(fields)}"
        self._say(path, f"unknown key; {hint}")
        return near[0] if near else ""

    def _default(self, field: dataclasses.Field[Any], hint: Any, path: str) -> Any:
        if field.default is not dataclasses.MISSING:
            return field.default
        if field.default_factory is not dataclasses.MISSING:
            return field.default_factory()
        return self._say(path, f"is missing; expected {_expected(hint)}")

    def _within(self, bounds: tuple[float, float], value: Any, path: str) -> Any:
        low, high = bounds
        if low <= value <= high:
            return value
        return self._say(path, f"must be between {low} and {high}")

    def _value(self, hint: Any, value: object, path: str) -> Any:  # noqa: PLR0911 - a case each
        origin = typing.get_origin(hint)
        if origin is Annotated:
            return self._checked(hint, value, path)
        if origin in {Union, types.UnionType}:
            inner = [one for one in typing.get_args(hint) if one is not type(None)]
            return None if value is None else self._value(inner[0], value, path)
        if dataclasses.is_dataclass(hint):
            return self.read_known(typing.cast("type[Any]", hint), value, path)
        if origin is tuple:
            return self._items(typing.get_args(hint)[0], value, path)
        if origin is dict:
            return self._mapping(typing.get_args(hint), value, path)
        if isinstance(hint, type) and issubclass(hint, StrEnum):
            return self._choice(hint, value, path)
        if hint is float and type(value) is int and abs(value) <= _MAX_EXACT:
            return float(value)
        if hint is not object and (type(value) is not hint):
            quoted = "; put it in quotes" if hint is str and isinstance(value, _SCALAR) else ""
            return self._say(path, f"expected {_expected(hint)}, found {shown(value)}{quoted}")
        return value

    def _checked(self, hint: Any, value: object, path: str) -> Any:
        inner, *checks = typing.get_args(hint)
        if inner is str and type(value) in {int, float}:
            # Quotes alone are the advice only where what is in them would do.
            wrong = [said for check in checks if (said := check(shown(value))) is not None]
            if wrong:
                return self._say(path, wrong[0])
        read = self._value(inner, value, path)
        if read is _WRONG or read is None:
            return read
        wrong = [said for check in checks if (said := check(read)) is not None]
        for said in wrong:
            self._say(path, said)
        return _WRONG if wrong else read

    def _items(self, hint: Any, value: object, path: str) -> Any:
        if not isinstance(value, list):
            word = isinstance(value, str) and _WORD.fullmatch(value)
            hint = f"; write [{value}]" if word else ""
            return self._say(path, f"expected a list, found {shown(value)}{hint}")
        items = [self._value(hint, one, f"{path}[{i}]") for i, one in enumerate(value)]
        right = [one for one in items if one is not _WRONG]
        return tuple(right) if len(right) == len(items) else Known(right)

    def _mapping(self, hints: tuple[Any, Any], value: object, path: str) -> Any:
        """Read a mapping whose keys are text; an entry with a wrong key is left out."""
        if not isinstance(value, Mapping):
            return self._say(path, f"expected a mapping, found {shown(value)}")
        values: dict[str, Any] = {}
        for key, one in value.items():
            here = f"{path}.{key}"
            name, item = self._value(hints[0], str(key), here), self._value(hints[1], one, here)
            if name is not _WRONG:
                values[name] = item
        return _WRONG if _WRONG in values.values() else values

    def _choice(self, hint: type[StrEnum], value: object, path: str) -> Any:
        try:
            return hint(str(value))
        except ValueError:
            return self._say(path, f"expected one of {', '.join(hint)}, found {shown(value)}")

    def _say(self, path: str, text: str) -> object:
        """Report an error; returns what stands for a value that is wrong."""
        line = f"{path.removeprefix('.') or 'the file'}: {text}"
        if line not in self.errors[-1:]:
            self.errors.append(line)
        return _WRONG


def if_known(lines: Iterator[str]) -> list[str]:
    """Return what a check finds until it asks for what was written down wrong."""
    found: list[str] = []
    try:
        for line in lines:
            found.append(line)  # noqa: PERF402 - what came before an error is kept
    except UnknownError:
        pass
    except AttributeError as error:
        record = error.obj
        if not (dataclasses.is_dataclass(record) and error.name in record.__dataclass_fields__):
            raise
    return found


def _expected(hint: Any) -> str:
    if typing.get_origin(hint) is Annotated:
        return _expected(typing.get_args(hint)[0])
    if typing.get_origin(hint) is tuple:
        return "a list"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return f"one of {', '.join(hint)}"
    return _WORDS.get(hint, "a mapping")
