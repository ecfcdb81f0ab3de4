"""A request in the pipeline, and the sequences that work for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hexkey.types import Delta, Finish, FinishReason, TokenLogprob, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence as Items

    from openvino import Tensor
    from openvino_genai import GenerationConfig, GenerationHandle

    from hexkey.engines.textstream import TextStream
    from hexkey.types import HostEvent


@dataclass(slots=True, eq=False)
class Work:
    """One request: its prompt, its outputs that are still open, and what it has taken so far."""

    id: int
    prompt: list[int]
    tensor: Tensor
    input_characters: int
    open: int
    followers: list[Sequence] = field(default_factory=list)
    output_tokens: int = 0
    cached_tokens: int = 0

    def usage(self) -> Usage:
        """What the request took; the prompt counts once, the tokens of every output count."""
        return Usage(
            len(self.prompt), self.output_tokens, self.cached_tokens, self.input_characters
        )


@dataclass(slots=True, eq=False)
class Sequence:
    """Generates one output, or several that are equal (``indexes``)."""

    work: Work
    indexes: range
    config: GenerationConfig
    stream: TextStream
    handle: GenerationHandle = None
    processed: int = 0  # tokens whose keys and values the cache holds
    generated: list[int] = field(default_factory=list)
    tail: int = 0  # see PrefixMirror.learn
    _silent: int = 0  # tokens since the last delta, and their probabilities
    _scores: list[TokenLogprob] = field(default_factory=list)

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

    def take(self, ids: Items[int], scores: Items[float], pieces: Items[bytes]) -> list[HostEvent]:
        """Add tokens; return the deltas that they make certain, if any."""
        tokens = [pieces[token] if token < len(pieces) else b"" for token in ids]
        self.generated += ids
        self.work.output_tokens += len(ids) * len(self.indexes)
        self._silent += len(ids)
        if self.config.logprobs:
            pairs = zip(tokens, scores, strict=True)
            self._scores += [TokenLogprob(token, score) for token, score in pairs if token]
        text = self.stream.feed(b"".join(tokens))
        return self._deltas(text) if text else []

    def finish(self, reason: FinishReason) -> list[HostEvent]:
        """Return the last deltas and the end of each output."""
        text = self.stream.end()
        events = self._deltas(text) if text or self._silent else []
        self.work.open -= len(self.indexes)
        return [*events, *(Finish(index, reason) for index in self.indexes)]

    def _deltas(self, text: str) -> list[HostEvent]:
        tokens, scores = self._silent, tuple(self._scores)
        self._silent, self._scores = 0, []
        return [Delta(index, text, tokens, scores) for index in self.indexes]

    @property
    def content(self) -> list[int]:
        """The tokens that the cache holds of this sequence."""
        return (self.work.prompt + self.generated)[: self.processed]
