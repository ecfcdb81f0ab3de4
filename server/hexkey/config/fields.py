"""What a single value of the configuration may be, as annotations of its sections."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Annotated

from hexkey.config.address import split_address
from hexkey.cost.price import decimal
from hexkey.engines import factory
from hexkey.engines.frames import MAX_FRAME_BYTES
from hexkey.identity.keys import is_tenant
from hexkey.models.errors import ModelError
from hexkey.models.sources import parse
from hexkey.routing import AUTO, parse_pair
from hexkey.routing.languages import well_formed
from hexkey.types import Task
from hexkey.values import at_most, expected, not_empty, not_negative, one_of, positive, refused

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_HOST = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s]+")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_ENERGY = re.compile(r"static|rapl|nvml(:\d{1,2})?")


def _name(text: str) -> str | None:
    if not _NAME.fullmatch(text):
        return "letters, digits and . _ / - only, 128 at most"
    if text in {AUTO, *Task}:
        return f"{text!r} is the name of a task; choose another"
    return None


def _tenant(text: str) -> str | None:
    return None if is_tenant(text) else "letters, digits and . _ - only, 64 at most, as of a key"


def _device(text: str) -> str | None:
    return None if _WORD.fullmatch(text) else "letters, digits and . _ - only, 63 at most"


def _label(text: str) -> str | None:
    good = _WORD.fullmatch(text)
    return None if good else "a label and its value are letters, digits and . _ - only, 63 at most"


def _task(text: str) -> str | None:
    return None if text in {*Task} else f"is no task; the tasks are: {', '.join(Task)}"


def _is_energy(text: str) -> bool:
    sources = text.split("+")
    return all(map(_ENERGY.fullmatch, sources)) and len(set(sources)) == len(sources)


def _traced(endpoint: str) -> str | None:
    if not endpoint or (find_spec("opentelemetry") and find_spec("opentelemetry.exporter")):
        return None
    return "needs OpenTelemetry; pip install 'hexkey[traces]'"


def _more_than_nothing(text: str) -> str | None:
    return refused(decimal, ValueError)(text) or (
        None if decimal(text) else "must be greater than 0"
    )


def _at_least_one(text: str) -> str | None:
    return refused(decimal, ValueError)(text) or (
        None if decimal(text) >= 1 else "must be at least 1"
    )


MAX_DEBOUNCE_MS = 10_000

Positive = Annotated[float, positive]
Debounce = Annotated[float, not_negative, at_most(MAX_DEBOUNCE_MS)]
BodyBytes = Annotated[int, positive, at_most(MAX_FRAME_BYTES, ", which is what an engine takes")]
NotNegative = Annotated[float, not_negative]
LameDuck = Annotated[float, not_negative, at_most(3600)]
Count = Annotated[int, not_negative]
Bound = Annotated[int, positive]
Share = Annotated[float, expected("a share from 0 to less than 1", lambda value: 0 <= value < 1)]
Sample = Annotated[float, expected("a number from 0 to 1", lambda value: 0 <= value <= 1)]
Money = Annotated[str, refused(decimal, ValueError)]
Speed = Annotated[str, _more_than_nothing]
Factor = Annotated[str, _at_least_one]
Currency = Annotated[str, expected("three letters such as EUR", re.compile("[A-Z]{3}").fullmatch)]
Energy = Annotated[
    str,
    expected("static, rapl, nvml, one GPU such as nvml:0, or some such as rapl+nvml", _is_energy),
]
Name = Annotated[str, _name]
TenantName = Annotated[str, _tenant]
DeviceName = Annotated[str, _device]
Label = Annotated[str, _label]
TaskName = Annotated[str, _task]
Tasks = Annotated[tuple[Task, ...], not_empty(f"of {', '.join(Task)}")]
Engine = Annotated[str, one_of(*factory.NAMES)]
Source = Annotated[str, refused(parse, ModelError)]
SourceOrNone = Annotated[str, refused(lambda text: text and parse(text), ModelError)]
PairText = Annotated[str, refused(parse_pair, ValueError)]
Language = Annotated[str, expected("a code such as pt or pt-BR", well_formed)]
_ADDRESS = "host:port such as 127.0.0.1:8080"
Address = Annotated[str, expected(_ADDRESS, split_address)]
AddressOrNone = Annotated[str, expected(_ADDRESS, lambda text: not text or split_address(text))]
Origin = Annotated[str, expected("one such as https://app.example.org", _ORIGIN.fullmatch)]
Host = Annotated[str, expected("a name without port such as hexkey.example.org", _HOST.fullmatch)]
Collector = Annotated[
    str,
    expected(
        "a URL such as http://collector:4318",
        lambda text: not text or re.match(r"https?://[^/]", text),
    ),
    _traced,
]
