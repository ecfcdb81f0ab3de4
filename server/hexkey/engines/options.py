"""Reads an engine's ``options`` from the configuration into a frozen dataclass."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from hexkey.models.errors import ModelError
from hexkey.schema import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

Bounds = dict[str, tuple[float, float]]
"""The least and the most that an option may be; see ``hexkey.schema.Reader``."""
BATCH_BOUNDS: Bounds = {
    "threads": (0, 1024),
    "max_batch": (1, 4096),
    "max_padded_tokens": (1, 1 << 24),
}


def read_options(kind: type[T], options: Mapping[str, object], model: str) -> T:
    """Return the options as ``kind``; raises ``ModelError`` naming all that is wrong with them."""
    reader = Reader()
    value = reader.read(kind, options, f"{model}.options")
    if value is None:
        raise ModelError("; ".join(reader.errors))
    return value
