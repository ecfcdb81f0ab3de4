"""LoRA adapters of one base model: what vLLM must be told of them before it starts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hexkey.models.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""For which vLLM has kernels; an adapter takes the next one that is not below its own."""
_WEIGHTS = "adapter_model.safetensors"


def arguments(adapters: Mapping[str, Path], most: int, *, cpu: bool) -> dict[str, object]:
    """Return vLLM's arguments for adapters, of which ``most`` (0: all) may be in one batch.

    All of them stay in the machine's memory. Raises ``ModelError`` naming an adapter that is none.

    On a CPU all may be in one batch, and there is one place more than adapters: vLLM 0.32 gives
    rows of the base model, beside rows with an adapter, whatever lies in the last place (its
    pull requests 48421 and 49656), so that one has to stay empty.
    """
    if not adapters:
        return {}
    rank = max(_rank(name, folder) for name, folder in adapters.items())
    fitting = [one for one in _RANKS if one >= rank]
    if not fitting:
        raise ModelError(f"an adapter has rank {rank}; vLLM takes at most {_RANKS[-1]}")
    return {
        "enable_lora": True,
        "max_lora_rank": fitting[0],
        "max_loras": len(adapters) + 1 if cpu else min(most or len(adapters), len(adapters)),
        "max_cpu_loras": len(adapters) + cpu,
    }


def _rank(name: str, folder: Path) -> int:
    # Without it vLLM would look for a pickle, which is never read here.
    if not (folder / _WEIGHTS).is_file():
        raise ModelError(f"adapter {name}: {folder} has no {_WEIGHTS}")
    try:
        rank = json.loads((folder / "adapter_config.json").read_bytes())["r"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"adapter {name}: its adapter_config.json names no rank") from error
    if type(rank) is not int or rank < 1:
        raise ModelError(f"adapter {name}: its adapter_config.json names no rank")
    return rank
