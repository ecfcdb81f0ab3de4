"""A request in the pipeline, and the sequences that work for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from openvino_genai import GenerationStatus

from hexkey.engines import sequence

if TYPE_CHECKING:
    from openvino import Tensor
    from openvino_genai import GenerationConfig, GenerationFinishReason, GenerationHandle

_RUNNING = GenerationStatus.RUNNING


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
    unread: int = 0  # tokens that its handle holds for us

    @property
    def skimmable(self) -> bool:
        """Whether the next token can end it only by the pipeline's own rules."""
        return bool(self.generated) and self.stream.open

    @property
    def goes_on(self) -> bool:
        """Whether it is skimmable and the pipeline's rules have not ended it."""
        return self.skimmable and self.handle.get_status() == _RUNNING

    def skim(self) -> int:
        """Leave the token of a step unread; return how many the cache holds."""
        self.unread += 1
        self.processed += 1
        return self.processed

    def read(self) -> tuple[list[int], list[float], GenerationFinishReason] | None:
        """Return the new tokens, their scores and how it ended; None where there is nothing."""
        ids: list[int] = []
        scores: list[float] = []
        ended = None
        while self.handle.can_read():
            for output in self.handle.read().values():
                # Each look at an output copies what is looked at, so it is looked at once.
                ids += output.generated_ids
                if self.logprobs:
                    scores += output.generated_log_probs
                ended = output.finish_reason
        self.unread = 0
        return None if ended is None else (ids, scores, ended)

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
