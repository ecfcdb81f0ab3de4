"""Models that read and do not write: vectors of texts, labels of texts, scores of pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hexkey.engines.encoder.tasks import reader_of
from hexkey.engines.vllm.jobs import Job
from hexkey.errors import Code, ServeError, invalid
from hexkey.types import Classify, Embed, Rerank, Scores, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from tokenizers import Tokenizer
    from vllm.v1.engine import EngineCoreOutput, EngineCoreRequest

    from hexkey.engines.encoder.tasks import Input, Reader
    from hexkey.engines.vllm.jobs import Part
    from hexkey.engines.vllm.requests import Requests
    from hexkey.types import HostEvent, ModelInfo, Payload, Terms

    Numbers = NDArray[np.float32]

EMBED, CLASSIFY = "embed", "classify"
Pair = tuple[str, str]
_LETTER = "a"
WARM_UP = "The quick brown fox jumps over the lazy dog."


class Pooling:
    """Embeds, reranks and classifies; see ``hexkey.engines.vllm.jobs.Kind``.

    ``task`` is vLLM's: ``embed`` gives vectors, of which hexkey makes all three tasks as it does
    for the engine ``encoder``. ``classify`` gives one score for each of the model's labels; a model
    with one label reads a query and a document together and says how well they go together.
    """

    def __init__(
        self, requests: Requests, *, info: ModelInfo, tokenizer: Tokenizer, task: str
    ) -> None:
        # A caller's text is text, also where it has the name of a control token in it.
        tokenizer.encode_special_tokens = True
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self.info = info
        self._requests = requests
        self._tokenizer = tokenizer
        self._task = task
        self._size = tokenizer.get_vocab_size()
        plain = tokenizer.encode(_LETTER, add_special_tokens=False).ids
        full = tokenizer.encode(_LETTER).ids
        at = next((at for at in range(len(full)) if full[at : at + len(plain)] == plain), 0)
        self._head, self._tail = full[:at], full[at + len(plain) :]

    def warm_ups(self) -> list[Payload]:
        """One short text, or pair of texts."""
        if self._task == EMBED:
            return [Embed(texts=(WARM_UP,))]
        if self.info.labels:
            return [Classify(texts=(WARM_UP,))]
        return [Rerank(query=WARM_UP, documents=(WARM_UP,))]

    def job(self, job_id: int, payload: Payload, terms: Terms) -> Job:
        """Return the texts that are to be read."""
        reader = self._reader(payload)
        usage = Usage(input_characters=sum(map(_characters, reader.inputs)))
        return Job(job_id, self._parts(job_id, reader, usage, terms), lambda: usage)

    def _reader(self, payload: Payload) -> Reader | _Heads:
        if self._task == EMBED:
            return reader_of(payload)
        labels = self.info.labels
        if labels and isinstance(payload, Classify) and not payload.labels:
            return _Heads(payload.texts, labels, truncate=True, param="text")
        if not labels and isinstance(payload, Rerank):
            pairs = [(payload.query, document) for document in payload.documents]
            return _Heads(pairs, (), truncate=payload.truncate, param="documents")
        does = "classifies by its own labels" if labels else "reranks"
        raise invalid(f"this model {does} and does nothing else", "model")

    def _parts(
        self, job_id: int, reader: Reader | _Heads, usage: Usage, terms: Terms
    ) -> Iterator[tuple[Part, EngineCoreRequest]]:
        for position, given in enumerate(reader.inputs):
            ids, second = self._ids(given, reader, position)
            name = f"{job_id}-{position}"
            request = self._requests.pooled(name, ids, self._task, second, terms)
            yield Row(reader, position, len(ids), usage), request

    def _ids(
        self, given: Input | Pair, reader: Reader | _Heads, position: int
    ) -> tuple[list[int], int]:
        """The ids of a text or a pair, and where the second text of a pair begins (0: nowhere)."""
        window, tail = self.info.context_tokens, self._tail
        second = 0
        if isinstance(given, str):
            ids: list[int] = self._tokenizer.encode(given).ids
        elif isinstance(given[0], str):
            read = self._tokenizer.encode(*given)
            ids, second = read.ids, read.type_ids.index(1) if 1 in read.type_ids else 0
        else:
            ids = self._framed(given)
        if len(ids) > window:
            if not reader.truncate:
                most = f"the model reads at most {window}; send truncate to have it cut"
                raise invalid(f"text {position} has {len(ids)} tokens; {most}", reader.param)
            ids = [*ids[: window - len(tail)], *tail]
        return ids, second if second < len(ids) else 0

    def _framed(self, tokens: tuple[int, ...]) -> list[int]:
        """Ids as a caller sent them, with the control tokens around where they lack."""
        if max(tokens) >= self._size:
            known = f"the model knows the tokens 0 to {self._size - 1} only"
            raise invalid(f"{known}; send text, or ids of its own tokenizer", "input")
        if self._head and list(tokens[: len(self._head)]) == self._head:
            return list(tokens)
        return [*self._head, *tokens, *self._tail]


class Row:
    """One text, or pair, of a job; see ``hexkey.engines.vllm.jobs.Part``."""

    def __init__(self, reader: Reader | _Heads, position: int, tokens: int, usage: Usage) -> None:
        self._reader = reader
        self._position = position
        self._tokens = tokens
        self._usage = usage

    def take(self, output: EngineCoreOutput) -> tuple[list[HostEvent], bool]:
        """Take what the model said of it."""
        pooled = output.pooling_output
        if pooled is None:
            return [], output.finish_reason is not None
        numbers: Numbers = pooled.float().numpy().reshape(-1)
        if not np.isfinite(numbers).all():
            raise ServeError(Code.INTERNAL, "the model failed on one of these texts")
        self._usage.input_tokens += self._tokens
        return self._reader.take(self._position, numbers), True

    def coarse(self, _output: EngineCoreOutput) -> tuple[int, int]:
        """A text is read in one step."""
        return self._tokens, 0


class _Heads:
    """What a model with a head of its own says of each input: scores as they are."""

    def __init__(
        self,
        inputs: Sequence[str | Pair],
        labels: tuple[str, ...],
        *,
        truncate: bool,
        param: str,
    ) -> None:
        self.inputs: Sequence[str | Pair] = inputs
        self.truncate = truncate
        self.param = param
        self._labels = labels

    def take(self, position: int, scores: Numbers) -> list[HostEvent]:
        return [Scores(position, tuple(scores.tolist()), self._labels)]


def _characters(given: Input | Pair) -> int:
    texts = (given,) if isinstance(given, str) else given
    return sum(len(text) for text in texts if isinstance(text, str))
