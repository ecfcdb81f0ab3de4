"""The engines there are, by the name a configuration gives them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from hexkey.types import Task

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from hexkey.engines.base import Factory
    from hexkey.engines.supervisor import HostSettings

# Module paths, not modules: an engine's libraries load in its own host only.
_MODULES = {
    "fake": "hexkey.engines.fake",
    "openvino": "hexkey.engines.openvino",
    "vllm": "hexkey.engines.vllm",
    "marian": "hexkey.engines.marian.engine",
    "ctranslate2": "hexkey.engines.ctranslate2",
    "encoder": "hexkey.engines.encoder",
}

NAMES = tuple(_MODULES)

_OPTIONS = {
    "fake": "hexkey.engines.fake:FakeOptions",
    "openvino": "hexkey.engines.openvino.loading:Options",
    "vllm": "hexkey.engines.vllm.options:Options",
    "marian": "hexkey.engines.marian.engine:MarianOptions",
    "ctranslate2": "hexkey.engines.ctranslate2.translation:CTranslate2Options",
    "encoder": "hexkey.engines.encoder.loading:EncoderOptions",
}

# Where an engine runs models of more than one kind, their task says which.
_OPTIONS_BY_TASK = {
    ("ctranslate2", Task.TRANSCRIBE): "hexkey.engines.ctranslate2.whisper:WhisperOptions",
}

_TEXT = frozenset({Task.AUTOCOMPLETE, Task.CHAT, Task.SUMMARIZE})
_TRANSLATION = frozenset({Task.TRANSLATE})
_READING = frozenset({Task.EMBED, Task.RERANK, Task.CLASSIFY})
TASKS = {
    "fake": frozenset(Task),
    "openvino": _TEXT,
    "vllm": _TEXT | _TRANSLATION | _READING,
    "marian": _TRANSLATION,
    "ctranslate2": _TRANSLATION | {Task.TRANSCRIBE},
    "encoder": _READING,
}
"""What each engine can be configured for."""


ADAPTERS = frozenset({"vllm"})
"""Engines whose models may have LoRA adapters."""

_FITS = {"vllm": "hexkey.engines.vllm.devices"}


def fit(models: Sequence[HostSettings]) -> None:
    """Return if models fit together into the memory there is; ``ModelError`` names who does not.

    Engines that take little leave it to the kernel.
    """
    for name, module in _FITS.items():
        own = [(one.model, one.folder, one.options) for one in models if one.engine == name]
        if own:
            import_module(module).fit(own)


def options_of(name: str, tasks: Collection[Task] = ()) -> type[Any]:
    """Return the dataclass of an engine's options for a model; its libraries may load along."""
    by_task = (
        place
        for (engine, task), place in _OPTIONS_BY_TASK.items()
        if engine == name and task in tasks
    )
    place = next(by_task, _OPTIONS[name])
    module, _, kind = place.partition(":")
    found: type[Any] = getattr(import_module(module), kind)
    return found


def find(name: str) -> Factory:
    """Return the ``load`` function of an engine; ``KeyError`` for a name not in ``NAMES``."""
    return cast("Factory", import_module(_MODULES[name]).load)
