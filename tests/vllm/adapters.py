"""LoRA adapters made for the tests: small, random, and strong enough to change every answer."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

RANK = 4
ALPHA = 8


def write(folder: Path, base: Path, seed: int, strength: float = 0.05) -> Path:
    """Write an adapter of all attention outputs of a Llama, in the layout of peft."""
    config = json.loads((base / "config.json").read_text())
    size, layers = config["hidden_size"], config["num_hidden_layers"]
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer in range(layers):
        name = f"base_model.model.model.layers.{layer}.self_attn.o_proj"
        tensors[f"{name}.lora_A.weight"] = torch.randn(RANK, size, generator=generator)
        tensors[f"{name}.lora_B.weight"] = torch.randn(size, RANK, generator=generator) * strength
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    told = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "target_modules": ["o_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(told))
    return folder


def merge(model: torch.nn.Module, folder: Path) -> None:
    """Add an adapter to the weights that it changes, as the paper defines it: W + alpha/r * B A."""
    from safetensors.torch import load_file

    tensors = load_file(folder / "adapter_model.safetensors")
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name in {key.rpartition(".lora_")[0] for key in tensors}:
            a, b = tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"]
            weights[name.removeprefix("base_model.model.") + ".weight"] += ALPHA / RANK * b @ a
