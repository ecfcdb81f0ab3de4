"""An engine's options: read into its dataclass, or refused with everything that is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import ClassVar

import pytest

from hexkey.engines import factory
from hexkey.engines.options import Bounds, read_options
from hexkey.models.errors import ModelError


class Kind(StrEnum):
    SMALL = "small"
    LARGE = "large"


@dataclass(frozen=True)
class Options:
    threads: int = 1
    share: float = 0.5
    kind: Kind = Kind.SMALL
    fast: bool | None = None
    names: tuple[str, ...] = ()
    codes: dict[str, str] = field(default_factory=dict)

    BOUNDS: ClassVar[Bounds] = {"threads": (0, 8), "share": (0.0, 1.0)}


def test_what_is_not_said_is_the_default() -> None:
    assert read_options(Options, {}, "m") == Options()


def test_every_kind_of_value_is_read() -> None:
    given = {
        "threads": 4,
        "share": 1,
        "kind": "large",
        "fast": True,
        "names": ["a", "b"],
        "codes": {"pt": "por_Latn"},
    }
    options = read_options(Options, given, "m")
    assert options == Options(4, 1.0, Kind.LARGE, fast=True, names=("a", "b"), codes=given["codes"])  # type: ignore[arg-type]
    assert type(options.share) is float
    assert read_options(Options, {"fast": None}, "m").fast is None


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"thread": 1}, "m.options.thread: unknown key; did you mean 'threads'?"),
        ({"threads": "1"}, "m.options.threads: expected a whole number, found '1'"),
        ({"threads": True}, "m.options.threads: expected a whole number, found True"),
        ({"threads": 1.0}, "m.options.threads: expected a whole number, found 1.0"),
        ({"threads": None}, "m.options.threads: expected a whole number, found nothing"),
        ({"threads": -1}, "m.options.threads: must be between 0 and 8"),
        ({"threads": 9}, "m.options.threads: must be between 0 and 8"),
        ({"share": float("nan")}, "m.options.share: must be between 0.0 and 1.0"),
        ({"share": False}, "m.options.share: expected a number, found False"),
        ({"share": 10**400}, f"m.options.share: expected a number, found 1{'0' * 79}…"),
        ({"kind": "huge"}, "m.options.kind: expected one of small, large, found 'huge'"),
        ({"kind": ["small"]}, "m.options.kind: expected one of small, large, found a list"),
        ({"fast": 1}, "m.options.fast: expected true or false, found 1"),
        ({"names": "ab"}, "m.options.names: expected a list, found 'ab'; write [ab]"),
        ({"names": ["a", 1]}, "m.options.names[1]: expected text, found 1; put it in quotes"),
        (
            {"codes": {"pt": False}},
            "m.options.codes.pt: expected text, found False; put it in quotes",
        ),
        ({"codes": []}, "m.options.codes: expected a mapping, found a list"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, object], error: str) -> None:
    with pytest.raises(ModelError) as caught:
        read_options(Options, given, "m")
    assert str(caught.value) == error


@pytest.mark.parametrize("name", factory.NAMES)
def test_every_engine_bounds_its_numbers(name: str) -> None:
    kinds = [factory.options_of(name, tasks) for tasks in ((), factory.TASKS[name])]
    for kind in kinds:
        numbers = {one.name for one in fields(kind) if type(one.default) in {int, float}}
        assert numbers <= kind.BOUNDS.keys()
        for option in numbers:
            low = kind.BOUNDS[option][0]
            with pytest.raises(ModelError, match=rf"m\.options\.{option}: must be between"):
                read_options(kind, {option: type(getattr(kind(), option))(low - 1)}, "m")


def test_everything_wrong_is_named_at_once() -> None:
    with pytest.raises(ModelError, match=r"m\.options\.x: .*; m\.options\.threads: ") as caught:
        read_options(Options, {"threads": "a", "x": 1, "kind": 1}, "m")
    assert "m.options.kind" in str(caught.value)
