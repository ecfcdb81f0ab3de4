"""A request for generated text, and the sequences of tokens that work for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hexkey.engines.textstream import TextStream
from hexkey.types import Chat, Delta, Finish, TokenLogprob, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence as Items

    from hexkey.types import Autocomplete, FinishReason, HostEvent, Sampling


@dataclass(slots=True, eq=False)
class Work:
    """One request: its prompt, its outputs that are still open, and what it has taken so far."""

    id: int
    prompt: list[int]
    input_characters: int
    open: int
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
    stream: TextStream
    logprobs: bool
    generated: list[int] = field(default_factory=list)
    _silent: int = 0  # tokens since the last delta, and their probabilities
    _scores: list[TokenLogprob] = field(default_factory=list)

    def take(self, ids: Items[int], scores: Items[float], pieces: Items[bytes]) -> list[HostEvent]:
        """Add tokens; return the deltas that they make certain, if any."""
        tokens = [pieces[token] if token < len(pieces) else b"" for token in ids]
        self.generated += ids
        self.work.output_tokens += len(ids) * len(self.indexes)
        self._silent += len(ids)
        if self.logprobs:
            pairs = zip(tokens, scores, strict=True)
            self._scores += [TokenLogprob(token, score) for token, score in pairs if token]
        text = self.stream.feed(b"".join(tokens))
        return self._deltas(text) if text else []

    def finish(self, reason: FinishReason) -> list[HostEvent]:
        """Return the last deltas and the end of each output."""
        text = self.stream.end()
        events = self._deltas(text) if text or self._silent else []
        self.work.open -= len(self.indexes)
        return [*events, *(Finish(index, reason, self.stream.stop) for index in self.indexes)]

    def _deltas(self, text: str) -> list[HostEvent]:
        tokens, scores = self._silent, tuple(self._scores)
        self._silent, self._scores = 0, []
        return [Delta(index, text, tokens, scores) for index in self.indexes]


def greedy(sampling: Sampling) -> bool:
    """Tell whether the likeliest token is always chosen."""
    return sampling.temperature == 0 or sampling.top_p == 0


def groups(sampling: Sampling) -> list[range]:
    """The outputs by the sequence that makes them; greedy ones are all equal and made once."""
    if greedy(sampling):
        return [range(sampling.n)]
    return [range(index, index + 1) for index in range(sampling.n)]


def text_stream(payload: Autocomplete | Chat) -> TextStream:
    """Return what turns the tokens of one output into its text."""
    stop = payload.sampling.stop
    if isinstance(payload, Chat):
        return TextStream(stop=stop)
    return TextStream(
        stop=stop,
        rule=payload.stop_rule,
        prefix=payload.prefix,
        suffix=payload.suffix,
        language=payload.language,
    )


def characters(payload: Autocomplete | Chat) -> int:
    """How much text a caller sent: what admission reckons with beforehand."""
    return sum(map(len, payload.reads))
