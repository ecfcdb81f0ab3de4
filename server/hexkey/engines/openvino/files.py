"""Finds a model's files, and what they say about it that the pipeline does not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hexkey.engines.openvino import gguf, tokenizer
from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class Files:
    """``path`` is what the pipeline loads; what no file tells is None."""

    path: Path
    context_tokens: int
    control: frozenset[int] | None
    tokenizer: Tokenizer | None


def inspect_files(folder: Path, window: int = 0) -> Files:
    """Find the model in a folder; raises ``ModelError`` if there is none, or a damaged one.

    ``window`` is the context in tokens where the files need not tell it; 0: they must.
    """
    found = [folder] if folder.is_file() else sorted(folder.glob("*.gguf"))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ModelError(f"{folder} holds several GGUF files ({names}); leave one")
    if found:
        return _gguf_files(found[0])
    if (folder / "openvino_model.xml").is_file():
        window = window or _ir_window(folder)
        return Files(folder, window, None, tokenizer.of_folder(folder))
    raise ModelError(f"{folder} holds neither a *.gguf file nor an openvino_model.xml")


def _gguf_files(path: Path) -> Files:
    metadata = gguf.read_metadata(path)
    architecture = metadata.get("general.architecture", b"")
    name = architecture.decode(errors="replace") if isinstance(architecture, bytes) else ""
    window = metadata.get(f"{name}.context_length")
    if not isinstance(window, int):
        raise ModelError(f"{path} does not say its context length ({name}.context_length)")
    kinds = metadata.get("tokenizer.ggml.token_type")
    control = None
    if isinstance(kinds, tuple):
        control = frozenset(token for token, kind in enumerate(kinds) if kind == gguf.CONTROL)
    return Files(path, window, control, tokenizer.of_gguf(metadata))


def _ir_window(folder: Path) -> int:
    path = folder / "config.json"
    try:
        return int(json.loads(path.read_bytes())["max_position_embeddings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} does not say max_position_embeddings; set the option context_tokens"
        ) from error
