"""The Marian binary model format, version 1 (little-endian).

Layout: u64 version, u64 n; n headers of u64 (name length, type, shape length, data length); the
names, NUL-terminated; the shapes, int32 each; u64 padding and as many bytes; the data blobs.
Every length is checked against the file before it is used: a truncated or corrupt file raises
`ValueError` naming the file and what is wrong with it.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import yaml

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

VERSION = 1
FLOAT32 = 0x0404
INTGEMM8 = 0x4101
BYTES = 0x0101
WIDTH = {FLOAT32: 4, INTGEMM8: 1, BYTES: 1}  # bytes an element
CONFIG = "special:model.yml"
MAX_RANK = 8


class Quantized(NamedTuple):
    """A matrix of int8 values, each standing for `values / multiplier`."""

    values: NDArray[np.int8]
    multiplier: float


@dataclass(frozen=True, slots=True)
class Blob:
    """Where one tensor lies in the file, as its header tells it."""

    type: int
    shape: tuple[int, ...]
    offset: int
    length: int


class MarianBinary:
    """A model file, mapped read-only; arrays are views into the mapping and keep it alive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size == 0:
                raise self._corrupt("it is empty")
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._size = size
        self._blobs = self._read_directory()
        self.config = self._read_config()

    def __contains__(self, name: str) -> bool:
        return name in self._blobs

    def vector(self, name: str, size: int) -> NDArray[np.float32]:
        """Return a float32 tensor of `size` finite numbers, flattened."""
        blob = self._blob(name, FLOAT32)
        if math.prod(blob.shape) != size:
            raise self._corrupt(f"tensor {name!r} has the shape {blob.shape}, expected {size}")
        array = np.frombuffer(self._data, "<f4", size, blob.offset)
        if not np.isfinite(array).all():
            raise self._corrupt(f"tensor {name!r} holds values that are not finite")
        return array

    def scalar(self, name: str) -> float:
        """Return a float32 tensor of one positive number, such as an activation multiplier."""
        value = float(self.vector(name, 1)[0])
        if value <= 0:
            raise self._corrupt(f"tensor {name!r} is {value}, expected a positive number")
        return value

    def matrix(self, name: str, shape: tuple[int, int]) -> Quantized:
        """Return an intgemm8 matrix as it is stored."""
        blob = self._blob(name, INTGEMM8)
        if blob.shape != shape:
            raise self._corrupt(f"tensor {name!r} has the shape {blob.shape}, expected {shape}")
        count = math.prod(shape)
        values = np.frombuffer(self._data, np.int8, count, blob.offset).reshape(shape)
        (multiplier,) = struct.unpack_from("<f", self._data, blob.offset + count)
        if not (math.isfinite(multiplier) and multiplier > 0):
            raise self._corrupt(f"tensor {name!r} has the quantisation multiplier {multiplier}")
        return Quantized(values, multiplier)

    def weights(self, name: str, shape: tuple[int, int]) -> Quantized:
        """Return a layer's matrix, (in, out) by its header; its values are stored transposed."""
        values, multiplier = self.matrix(name, shape)
        return Quantized(values.reshape(shape[::-1]).T, multiplier)

    def _blob(self, name: str, kind: int) -> Blob:
        try:
            blob = self._blobs[name]
        except KeyError:
            raise self._corrupt(f"tensor {name!r} is missing") from None
        if blob.type != kind:
            raise self._corrupt(f"tensor {name!r} has type {blob.type:#x}, expected {kind:#x}")
        needed = math.prod(blob.shape) * WIDTH[kind] + (4 if kind == INTGEMM8 else 0)
        if needed > blob.length:
            raise self._corrupt(f"tensor {name!r} needs {needed} bytes but has {blob.length}")
        return blob

    def _read_directory(self) -> dict[str, Blob]:
        version, count = self._unpack("<2Q", 0, "the file header")
        if version != VERSION:
            raise self._corrupt(f"its version is {version}, expected {VERSION}")
        at = 16
        self._check(at, 32 * count, f"the headers of {count} tensors")
        headers = [self._unpack("<4Q", at + 32 * i, "a tensor header") for i in range(count)]
        at += 32 * count
        names = []
        for name_length, *_ in headers:
            names.append(self._name(at, name_length))
            at += name_length
        if len(set(names)) != count:
            raise self._corrupt("two tensors have the same name")
        shapes = []
        for name, (_, _, rank, _) in zip(names, headers, strict=True):
            if rank > MAX_RANK:
                raise self._corrupt(f"tensor {name!r} has {rank} axes")
            shape = self._unpack(f"<{rank}i", at, f"the shape of {name!r}")
            if min(shape, default=1) < 1:
                raise self._corrupt(f"tensor {name!r} has the shape {shape}")
            shapes.append(shape)
            at += 4 * rank
        (padding,) = self._unpack("<Q", at, "the padding")
        at += 8 + padding
        blobs = {}
        for name, shape, (_, kind, _, length) in zip(names, shapes, headers, strict=True):
            self._check(at, length, f"the data of {name!r}")
            blobs[name] = Blob(kind, shape, at, length)
            at += length
        return blobs

    def _read_config(self) -> dict[str, Any]:
        blob = self._blob(CONFIG, BYTES)
        text = self._data[blob.offset : blob.offset + blob.length].rstrip(b"\0")
        try:
            config = yaml.safe_load(text.decode())
        except (ValueError, RecursionError, yaml.YAMLError) as error:
            raise self._corrupt(f"{CONFIG} is not YAML: {error}") from error
        if not isinstance(config, dict):
            raise self._corrupt(f"{CONFIG} is not a mapping")
        return config

    def _name(self, at: int, length: int) -> str:
        self._check(at, length, "a tensor name")
        raw = self._data[at : at + length]
        if not raw.endswith(b"\0"):
            raise self._corrupt("a tensor name is not NUL-terminated")
        try:
            return raw[:-1].decode()
        except UnicodeDecodeError as error:
            raise self._corrupt(f"a tensor name is not UTF-8: {error}") from error

    def _unpack(self, layout: str, at: int, what: str) -> tuple[int, ...]:
        self._check(at, struct.calcsize(layout), what)
        return struct.unpack_from(layout, self._data, at)

    def _check(self, at: int, length: int, what: str) -> None:
        if at + length > self._size:
            raise self._corrupt(
                f"{what} would end at byte {at + length}, but the file ends at {self._size}"
            )

    def _corrupt(self, why: str) -> ValueError:
        return ValueError(f"{self.path}: not a readable Marian model: {why}")
