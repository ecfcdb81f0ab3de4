"""Writes a GGUF model as safetensors, for engines that do not read GGUF.

    python scripts/convert_gguf.py SOURCE

``SOURCE`` is written as in a configuration and must name one GGUF file. The folder that holds the
result lies in the model cache and is printed last; it is made once. Needs transformers and torch.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from hexkey.models.cache import default_cache, fetch


def convert(source: str) -> Path:
    """Return the folder of the converted model; the tokenizer lies beside the weights."""
    cache = default_cache()
    found = fetch(source, cache=cache, progress=lambda line: print(line, file=sys.stderr))
    (gguf,) = found.paths
    key = hashlib.sha256(gguf.name.encode() + gguf.read_bytes()).hexdigest()[:16]
    folder = cache / f"converted-{gguf.stem}-{key}"
    if folder.is_dir():
        return folder
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=cache))
    try:
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.bfloat16,
        )
        model.save_pretrained(made)
        tokenizer.save_pretrained(made)
        # One rename, so that a conversion that was cut short is never taken for a whole one.
        os.replace(made, folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return folder


if __name__ == "__main__":
    print(convert(sys.argv[1]))
