"""A request in the pipeline, and the sequences that work for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hexkey.engines import sequence

if TYPE_CHECKING:
    from openvino import Tensor
    from openvino_genai import GenerationConfig, GenerationHandle


@dataclass(slots=True, eq=False, kw_only=True)
class Work(sequence.Work):
    """A request; ``followers`` are the sequences that start once the first has its prompt in."""

    tensor: Tensor
    followers: list[Sequence] = field(default_factory=list)


@dataclass(slots=True, eq=False, kw_only=True)
class Sequence(sequence.Sequence):
    """A sequence and what the pipeline knows it by."""

    work: Work
    config: GenerationConfig
    handle: GenerationHandle = None
    processed: int = 0  # tokens whose keys and values the cache holds
    tail: int = 0  # see PrefixMirror.learn

    def compute(self, produced: int, room: int) -> int:
        """Return how many tokens a step computed that ``produced`` this many.

        ``room`` is what the step could give to prompts. The step that produces the first token has
        computed the rest of the prompt, and every other one as many tokens as it produced.
        """
        computed = produced
        if not self.generated:
            rest = len(self.work.prompt) - self.processed
            computed = rest if produced else max(0, min(room, rest - 1))
        self.processed += computed
        return computed

    @property
    def content(self) -> list[int]:
        """The tokens that the cache holds of this sequence."""
        return (self.work.prompt + self.generated)[: self.processed]
