"""What kind of model a set of files is, told from names and a few header bytes.

Nothing here parses a model. Headers are held against the file's own size, so that no engine is
handed a length it would believe. What could carry code is refused: pickles in every wrapping,
Python files, shared libraries, and JSON that names Python classes to import (``auto_map``).
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from hexkey.models import headers
from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_CODE = frozenset({".py", ".pyc", ".pyd", ".so", ".dylib", ".dll", ".sh"})
_PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz"})
_CONFIG_LIMIT = 64 << 20


class Format(StrEnum):
    """The formats hexkey serves."""

    MARIAN = "marian"
    CTRANSLATE2 = "ctranslate2"
    GGUF = "gguf"
    SAFETENSORS = "safetensors"
    ONNX = "onnx"
    OPENVINO = "openvino"


def detect(folder: Path, names: Iterable[str]) -> Format:
    """Name the format of the files ``names`` in ``folder``; of several, the first in ``Format``.

    Raises ModelError for a forbidden file, a header that cannot be true, or no model at all.
    """
    paths = sorted(folder / name for name in names)
    found = {kind for path in paths if (kind := _examine(path)) is not None}
    for kind in Format:
        if kind in found:
            return kind
    names = ", ".join(path.name for path in paths[:10]) or "nothing"
    raise ModelError(
        f"{folder} holds no model: expected *.gguf, *.safetensors, *.onnx, CTranslate2's "
        f"model.bin, Marian's model.*.bin or OpenVINO's *.xml and *.bin, found {names}"
    )


def _examine(path: Path) -> Format | None:
    """Tell which format a file is the weights of; None for a vocabulary or a configuration."""
    suffix = path.suffix.lower()
    if suffix in _CODE:
        raise ModelError(f"{path} is code, which a model may not bring; remove it")
    if suffix in _PICKLES or headers.is_pickle(path):
        raise ModelError(
            f"{path} is, or may hold, a Python pickle, which can run code when loaded; use the "
            "model's safetensors, GGUF or ONNX files and remove this one"
        )
    match suffix:
        case ".gguf":
            headers.check_gguf(path)
            return Format.GGUF
        case ".safetensors":
            headers.check_safetensors(path)
            return Format.SAFETENSORS
        case ".onnx":
            headers.check_onnx(path)
            return Format.ONNX
        case ".xml":
            headers.check_openvino(path)
            return Format.OPENVINO
        case ".bin":
            return _examine_bin(path)
        case ".json" if path.name.endswith("config.json"):
            _check_config(path)
    return None


def _examine_bin(path: Path) -> Format | None:
    """Only a positively known ``.bin`` passes: the suffix says nothing, and torch uses it too.

    OpenVINO's are bare numbers, known by the ``.xml`` beside them that says how to read them.
    """
    if headers.is_marian_shortlist(path):
        return None
    if headers.is_marian_model(path):
        return Format.MARIAN
    if headers.is_ctranslate2_model(path):
        return Format.CTRANSLATE2
    if path.with_suffix(".xml").is_file():
        return Format.OPENVINO
    raise ModelError(
        f"{path} is no Marian and no CTranslate2 file, has no *.xml of OpenVINO's, or is damaged; "
        "remove it, or fetch the model again"
    )


def _check_config(path: Path) -> None:
    if path.stat().st_size > _CONFIG_LIMIT:
        raise ModelError(f"{path} is larger than {_CONFIG_LIMIT >> 20} MiB; no configuration is")
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON: {error}; fetch the model again") from error
    if _mentions(config, "auto_map"):
        raise ModelError(
            f"{path} has an auto_map, which loads Python code that comes with the model; "
            "choose a model whose architecture the engine knows itself"
        )


def _mentions(value: Any, key: str) -> bool:
    """Tell whether any object in a JSON value, at any depth, has ``key``."""
    pending = [value]
    while pending:
        match pending.pop():
            case dict() as table:
                if key in table:
                    return True
                pending.extend(table.values())
            case list() as items:
                pending.extend(items)
    return False
