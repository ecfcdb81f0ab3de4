"""Tensors as both wires have them, and their elements as bytes.

BYTES elements are each a little-endian uint32 length and so many bytes; numbers are little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from hexkey.errors import invalid
from hexkey.validation import MAX_INPUTS

if TYPE_CHECKING:
    from collections.abc import Sequence

BYTES, FP32 = "BYTES", "FP32"
MAX_ELEMENTS = MAX_INPUTS
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor; ``data`` holds its elements in row-major order: bytes, or numbers."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Sequence[bytes] | Sequence[float]


def texts(name: str, values: Sequence[str]) -> Tensor:
    """Return a BYTES tensor of one axis."""
    return Tensor(name, BYTES, (len(values),), [value.encode() for value in values])


def numbers(name: str, rows: Sequence[Sequence[float]]) -> Tensor:
    """Return a FP32 tensor of two axes."""
    width = len(rows[0]) if rows else 0
    return Tensor(name, FP32, (len(rows), width), [value for row in rows for value in row])


def read(name: str, datatype: str, shape: Sequence[int], given: bytes | list[bytes]) -> Tensor:
    """Return an input, given as its elements or as the bytes that they are packed into.

    Raises ``ServeError`` where it is no text, is damaged, or has another shape than it says.
    """
    if datatype != BYTES:
        raise invalid(f"input {name!r} is {datatype}; text is taken as {BYTES}", name)
    data = unpack(name, given) if isinstance(given, bytes) else given
    _ensure_few(name, data)
    if min(shape, default=1) < 0 or prod(shape) != len(data):
        raise invalid(f"input {name!r} has {len(data)} elements, not as its shape says", name)
    return Tensor(name, datatype, tuple(shape), data)


def unpack(name: str, raw: bytes) -> list[bytes]:
    """Return the elements of a BYTES tensor; ``ServeError`` where they are cut or too many."""
    elements: list[bytes] = []
    at = 0
    while at < len(raw):
        _ensure_few(name, elements)
        if at + _LENGTH.size > len(raw):
            raise invalid(f"input {name!r} ends within an element", name)
        (size,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size
        if at + size > len(raw):
            raise invalid(f"input {name!r} ends within an element", name)
        elements.append(raw[at : at + size])
        at += size
    return elements


def _ensure_few(name: str, elements: list[bytes]) -> None:
    # Megabytes of empty elements would take a second to be looked at.
    if len(elements) > MAX_ELEMENTS:
        raise invalid(f"input {name!r} holds more than {MAX_ELEMENTS} elements", name)


def pack(tensor: Tensor) -> bytes:
    """Return a tensor's elements as bytes."""
    if tensor.datatype == FP32:
        return struct.pack(f"<{len(tensor.data)}f", *tensor.data)
    return b"".join(_LENGTH.pack(len(one)) + one for one in tensor.data)  # type: ignore[arg-type,operator]  # BYTES
