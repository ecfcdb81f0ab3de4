"""Reads what a GGUF file says about itself, and whether all of its tensors are there.

Source: the GGUF specification (ggml, version 3). After the header come pairs of a key, a value type
and a value, then a name, dimensions, type and offset per tensor, then the tensors' data, aligned.
Strings and arrays begin with a u64 length; all numbers are little-endian.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, BinaryIO

from hexkey.models.errors import ModelError
from hexkey.models.headers import check_gguf

if TYPE_CHECKING:
    from pathlib import Path

Scalar = int | float | bytes
Value = Scalar | tuple[Scalar, ...]

CONTROL = 3
"""The entry of ``tokenizer.ggml.token_type`` for a token that stands for no text."""

_STRING = 8
_ARRAY = 9
_LAYOUTS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_ALIGNMENT = 32

# Values and bytes in one block of the tensor types that OpenVINO reads.
_BLOCKS = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    8: (32, 34),
    12: (256, 144),
    14: (256, 210),
}


def read_metadata(path: Path) -> dict[str, Value]:
    """Return the metadata by key; raises ``ModelError`` if the file is not a whole GGUF file."""
    check_gguf(path)
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            reader = _Reader(file, size)
            reader.unpack("4sI")
            tensors, pairs = reader.length(), reader.length()
            metadata = {reader.text().decode(): reader.value() for _ in range(pairs)}
            end = max((reader.tensor_end() for _ in range(tensors)), default=0)
            alignment = int(str(metadata.get("general.alignment", _ALIGNMENT)))
            end += -(-file.tell() // alignment) * alignment
    except (struct.error, UnicodeDecodeError, KeyError, ValueError, ZeroDivisionError) as error:
        raise ModelError(f"{path} is damaged; fetch the model again") from error
    if end > size:
        raise ModelError(f"{path} ends after {size} of {end} bytes; fetch the model again")
    return metadata


class _Reader:
    """Reads values one after the other; ``ValueError`` for a length that the file cannot hold."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size

    def unpack(self, layout: str) -> tuple[Scalar, ...]:
        """Read numbers of a ``struct`` layout."""
        form = struct.Struct("<" + layout)
        return form.unpack(self._file.read(form.size))

    def number(self, layout: str) -> int:
        """Read one whole number."""
        (number,) = self.unpack(layout)
        return int(number)

    def length(self) -> int:
        """Read a length; a damaged one could ask for any memory."""
        length = self.number("Q")
        if length > self._size:
            raise ValueError("a length is larger than the file")
        return length

    def text(self) -> bytes:
        """Read a string."""
        return self._file.read(self.length())

    def value(self) -> Value:
        """Read a type and a value of it."""
        kind = self.number("I")
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.unpack(_LAYOUTS[kind])[0]
        kind, length = self.number("I"), self.length()
        if kind == _STRING:
            return tuple(self.text() for _ in range(length))
        return self.unpack(f"{length}{_LAYOUTS[kind]}")

    def tensor_end(self) -> int:
        """Read about a tensor; return where its data end, counted from where all data begin."""
        self.text()
        dimensions = [self.length() for _ in range(self.number("I"))]
        values, size = _BLOCKS.get(self.number("I"), (1, 0))
        return self.number("Q") + math.prod(dimensions) // values * size
