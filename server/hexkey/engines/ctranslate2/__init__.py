"""The ``ctranslate2`` engine: converted translators, and Whisper; the model's files say which."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from hexkey.engines.base import Engine, LoadContext


def load(context: LoadContext) -> Engine:
    """Load a converted model folder; ``ModelError`` where it cannot be used."""
    if _is_whisper(context.folder):
        from hexkey.engines.ctranslate2 import whisper

        return whisper.load(context)
    from hexkey.engines.ctranslate2 import translation

    return translation.load(context)


def _is_whisper(folder: Path) -> bool:
    """Tell by ``config.json``, which only Whisper's converter gives heads to align words by."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_bytes()) if path.is_file() else {}
    except ValueError as error:
        raise ModelError(f"{path} is no JSON: {error}") from error
    return isinstance(config, dict) and "alignment_heads" in config
